//! Everything that lies here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use fleet_seam::{Entropy as _, SystemEntropy};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

use crate::hull::{Begun, Hull, Order, Phase, Screen};
use crate::journal::{Journal, Side};
use crate::problem::Problem;

/// What a ship is made of.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Program and arguments.
    pub(crate) argv: Vec<String>,
    /// Its environment.
    #[serde(default)]
    pub(crate) vars: BTreeMap<String, String>,
    /// The folder it runs in.
    #[serde(default)]
    pub(crate) hold: Option<String>,
    /// Words by which it is found.
    #[serde(default)]
    pub(crate) marks: BTreeMap<String, String>,
}

/// What a boat is made of.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BoatPlan {
    pub(crate) argv: Vec<String>,
    #[serde(default)]
    pub(crate) vars: BTreeMap<String, String>,
    /// On a terminal of this size.
    #[serde(default)]
    pub(crate) screen: Option<Screen>,
    /// Whether it is given what comes on the connection.
    #[serde(default)]
    pub(crate) reads: bool,
}

/// A program of a workload.
#[derive(Debug)]
pub(crate) struct Ship {
    pub(crate) id: String,
    name: String,
    plan: Plan,
    pub(crate) hull: Arc<Hull>,
    pub(crate) journal: Arc<Journal>,
}

/// A program beside one.
#[derive(Debug)]
pub(crate) struct Boat {
    id: String,
    ship: String,
    pub(crate) hull: Arc<Hull>,
}

/// How a ship is told.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    ship: String,
    name: String,
    marks: BTreeMap<String, String>,
    /// As in a real one: the environment, which only its owner should see.
    vars: BTreeMap<String, String>,
    hold: Option<String>,
    #[serde(flatten)]
    phase: Phase,
}

/// How a boat is told.
#[derive(Debug, Serialize)]
pub(crate) struct ToldBoat {
    boat: String,
    ship: String,
    #[serde(flatten)]
    phase: Phase,
}

impl Ship {
    pub(crate) fn told(&self) -> Told {
        Told {
            ship: self.id.clone(),
            name: self.name.clone(),
            marks: self.plan.marks.clone(),
            vars: self.plan.vars.clone(),
            hold: self.plan.hold.clone(),
            phase: self.hull.phase(),
        }
    }

    /// Begins it. Once: what was begun is not begun again.
    pub(crate) fn sail(&self) -> Result<(), Problem> {
        let begun = self.hull.begin().map_err(|error| {
            self.journal.close();
            let program = self.plan.argv.first().map_or("", String::as_str);
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("{program} cannot sail: {error}"),
            )
        })?;
        let Some(Begun { mut child, .. }) = begun else {
            return Err(Problem::new(StatusCode::CONFLICT, "it has left before"));
        };
        let out = child.stdout.take().map(|out| self.read(Side::Out, out));
        let err = child.stderr.take().map(|err| self.read(Side::Err, err));
        let (hull, journal) = (Arc::clone(&self.hull), Arc::clone(&self.journal));
        tokio::spawn(async move {
            let status = child.wait().await;
            for reader in [out, err].into_iter().flatten() {
                let _ = reader.await;
            }
            hull.ended(status.ok());
            journal.close();
        });
        Ok(())
    }

    fn read(
        &self,
        side: Side,
        from: impl AsyncRead + Unpin + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        let journal = Arc::clone(&self.journal);
        tokio::spawn(async move {
            let mut lines = BufReader::new(from).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                journal.enter(side, line);
            }
        })
    }
}

impl Boat {
    pub(crate) fn told(&self) -> ToldBoat {
        ToldBoat {
            boat: self.id.clone(),
            ship: self.ship.clone(),
            phase: self.hull.phase(),
        }
    }
}

/// The ships and boats.
#[derive(Debug, Default)]
pub(crate) struct Harbour {
    lying: Mutex<Lying>,
}

#[derive(Debug, Default)]
struct Lying {
    ships: BTreeMap<String, Arc<Ship>>,
    boats: BTreeMap<String, Arc<Boat>>,
}

impl Harbour {
    /// Lays one on.
    pub(crate) fn moor(&self, name: &str, plan: Plan) -> Result<Told, Problem> {
        let mut lying = self.lying();
        if lying.ships.values().any(|ship| ship.name == name) {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                format!("a ship named {name} lies here already"),
            ));
        }
        let order = Order {
            argv: plan.argv.clone(),
            vars: plan.vars.clone(),
            hold: plan.hold.clone().map(Into::into),
            reads: false,
            screen: None,
        };
        let ship = Arc::new(Ship {
            id: id('s'),
            name: name.to_owned(),
            plan,
            hull: Arc::new(Hull::new(order)),
            journal: Arc::default(),
        });
        lying.ships.insert(ship.id.clone(), Arc::clone(&ship));
        Ok(ship.told())
    }

    /// Lays a boat beside a ship that sails. It goes down with its ship.
    pub(crate) fn lower(&self, ship: &str, plan: BoatPlan) -> Result<ToldBoat, Problem> {
        let ship = self.ship(ship)?;
        if !matches!(ship.hull.phase(), Phase::Sailing { .. }) {
            return Err(Problem::new(StatusCode::CONFLICT, "it does not sail"));
        }
        let mut vars = ship.plan.vars.clone();
        vars.extend(plan.vars);
        let order = Order {
            argv: plan.argv,
            vars,
            hold: ship.plan.hold.clone().map(Into::into),
            reads: plan.reads,
            screen: plan.screen,
        };
        let boat = Arc::new(Boat {
            id: id('b'),
            ship: ship.id.clone(),
            hull: Arc::new(Hull::new(order)),
        });
        let told = boat.told();
        let (mut ships, boats) = (ship.hull.watch(), Arc::downgrade(&boat));
        tokio::spawn(async move {
            let is_over = |phase: &Phase| matches!(phase, Phase::Ashore { .. });
            let _ = ships.wait_for(is_over).await;
            if let Some(boat) = boats.upgrade() {
                boat.hull.sink();
            }
        });
        self.lying().boats.insert(boat.id.clone(), boat);
        Ok(told)
    }

    /// Those with this mark, written `KEY=VALUE`; all where none is asked for.
    pub(crate) fn ships(&self, mark: Option<&str>) -> Vec<Told> {
        let wanted = mark.map(|mark| mark.split_once('=').unwrap_or((mark, "")));
        let has = |ship: &Arc<Ship>| {
            wanted.is_none_or(|(key, value)| {
                let found = ship.plan.marks.get(key);
                found.is_some_and(|found| value.is_empty() || found == value)
            })
        };
        let lying = self.lying();
        let found = lying.ships.values().filter(|ship| has(ship));
        found.map(|ship| ship.told()).collect()
    }

    pub(crate) fn ship(&self, id: &str) -> Result<Arc<Ship>, Problem> {
        let found = self.lying().ships.get(id).cloned();
        found.ok_or_else(|| Problem::nothing("ship", id))
    }

    pub(crate) fn boat(&self, id: &str) -> Result<Arc<Boat>, Problem> {
        let found = self.lying().boats.get(id).cloned();
        found.ok_or_else(|| Problem::nothing("boat", id))
    }

    /// Takes a ship and its boats away, and ends what still runs.
    pub(crate) fn break_up(&self, id: &str) -> Result<(), Problem> {
        let mut lying = self.lying();
        let ship = lying
            .ships
            .remove(id)
            .ok_or_else(|| Problem::nothing("ship", id))?;
        ship.hull.hail(Signal::KILL);
        lying.boats.retain(|_, boat| {
            let stays = boat.ship != id;
            if !stays {
                boat.hull.sink();
            }
            stays
        });
        Ok(())
    }

    /// Ends everything.
    pub(crate) fn sink_all(&self) {
        let lying = self.lying();
        for ship in lying.ships.values() {
            ship.hull.hail(Signal::KILL);
        }
        for boat in lying.boats.values() {
            boat.hull.hail(Signal::KILL);
        }
    }

    fn lying(&self) -> MutexGuard<'_, Lying> {
        self.lying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new id: a letter and 24 hexadecimal digits.
fn id(sort: char) -> String {
    let bits = SystemEntropy.bits() & ((1 << 96) - 1);
    format!("{sort}{bits:024x}")
}
