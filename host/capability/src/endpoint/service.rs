//! The endpoints of a host: each call is decided on, traced, and done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fleet_model::{Error, Name, Op};
use fleet_seam::{Clock, Entropy};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::decide::decide;
use super::exchange::Exchange;
use super::facts::{Fact, Facts, Terms};
use super::job::Jobs;
use super::kept::Kept;
use super::opening;
use super::owned::{Book, Owned};
use super::policy::Policy;
use super::request::Request;
use super::trace::{Trace, Verdicts};
use super::transport::{Address, Transport};
use super::verdict::{Allowed, Mode, Refused};
use crate::secret::{NoSecrets, Redactor, Secrets};
use crate::source::Source;
use crate::workspace::Workspaces;
use crate::{durable, fault};

/// Where the host's mark is kept.
const MARK: &str = "host.json";

/// What endpoints are made of.
pub struct EndpointOptions {
    /// Where what is owned is kept.
    pub folder: PathBuf,
    /// The workloads' workspaces.
    pub workspaces: Workspaces,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Nonces.
    pub entropy: Arc<dyn Entropy>,
    /// Values for placeholders.
    pub secrets: Arc<dyn Secrets>,
    /// Keeps them out of what is traced.
    pub redactor: Redactor,
    /// A file for what was asked and what would allow it.
    pub trace: Option<PathBuf>,
}

impl EndpointOptions {
    /// Without secrets and without a trace.
    #[must_use]
    pub fn new(
        folder: &Path,
        workspaces: Workspaces,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            folder: folder.to_owned(),
            workspaces,
            clock,
            entropy,
            secrets: Arc::new(NoSecrets),
            redactor: Redactor::default(),
            trace: None,
        }
    }
}

/// An endpoint as it was granted.
#[derive(Debug)]
pub struct Target {
    /// Where it is.
    pub address: Address,
    /// What may be asked of it.
    pub policy: Policy,
}

/// On whose behalf something is asked.
#[derive(Debug, Clone)]
pub struct Call {
    /// The plugin.
    pub plugin: Name,
    /// The name it uses.
    pub endpoint: Name,
    /// What that is.
    pub target: Arc<Target>,
    /// The op of its call.
    pub op: Option<Op>,
    /// Of the workload it makes, under `create`.
    pub terms: Option<Arc<Terms>>,
}

/// What came back, as far as the policy lets it through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// The service's.
    pub status: u16,
    /// Those the rule names.
    pub headers: Vec<(String, String)>,
    /// JSON as the host wrote it, or what the rule says.
    pub body: Vec<u8>,
    /// Of a job: `job`.
    pub attributes: BTreeMap<String, String>,
}

/// All endpoints of a host.
#[derive(Clone)]
pub struct Endpoints(Arc<Inner>);

pub(super) struct Inner {
    pub(super) options: EndpointOptions,
    pub(super) host: String,
    pub(super) trace: Trace,
    books: Mutex<BTreeMap<Name, Arc<Book>>>,
    services: Mutex<BTreeMap<(Name, String), Arc<Service>>>,
}

/// What is known of one service.
pub(super) struct Service {
    pub(super) transport: Arc<Transport>,
    pub(super) book: Arc<Book>,
    /// A place for each request under way.
    pub(super) places: Arc<Semaphore>,
    /// A place for each open stream.
    pub(super) streams: Arc<Semaphore>,
    /// A place for each stream that is held.
    pub(super) kept: Arc<Semaphore>,
    pub(super) jobs: Jobs,
    pub(super) held: Mutex<BTreeMap<String, Held>>,
    turns: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// A stream that is kept, and the ids it is about.
pub(super) struct Held {
    pub(super) stream: Arc<Kept>,
    pub(super) ids: Vec<(String, String)>,
    pub(super) _place: OwnedSemaphorePermit,
}

impl Endpoints {
    /// Opens what is kept of them.
    ///
    /// # Errors
    /// Where the folder or the trace cannot be used.
    pub fn open(options: EndpointOptions) -> Result<Self, Error> {
        let folder = &options.folder;
        let mark = || -> std::io::Result<String> {
            durable::make_folder(folder)?;
            let fresh = format!("{:032x}", options.entropy.bits());
            durable::create(folder, MARK, &fresh)?;
            Ok(durable::read(&folder.join(MARK))?.unwrap_or(fresh))
        };
        let host = mark().map_err(|error| fault::storage("use", folder, &error))?;
        let trace = Trace::open(options.trace.as_deref(), options.redactor.clone())?;
        Ok(Self(Arc::new(Inner {
            options,
            host,
            trace,
            books: Mutex::default(),
            services: Mutex::default(),
        })))
    }

    /// The mark of this host's data folder, which policies know as `{host}`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// How often each verdict was given.
    #[must_use]
    pub fn verdicts(&self) -> Verdicts {
        self.0.trace.verdicts()
    }

    /// Asks something that changes nothing.
    ///
    /// # Errors
    /// As `docs/endpoints.md` lists them.
    pub async fn get(&self, call: &Call, request: Request) -> Result<Response, Error> {
        self.ask(call, Mode::Get, request).await
    }

    /// Asks for a change, under the call's op.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn send(&self, call: &Call, request: Request) -> Result<Response, Error> {
        self.ask(call, Mode::Send, request).await
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn open_stream(&self, call: &Call, request: Request) -> Result<Source, Error> {
        let service = self.0.service(call).await?;
        let ground = self.0.ground(call, &service, Mode::Open, &request).await?;
        let owned = service.book.of(&call.plugin);
        let facts = ground.facts(&self.0, call, &owned);
        let allowed = self.0.decide(call, &facts, Mode::Open, &request)?;
        opening::open(&self.0, &service, call, &request, &allowed).await
    }

    async fn ask(&self, call: &Call, mode: Mode, request: Request) -> Result<Response, Error> {
        let service = self.0.service(call).await?;
        let ground = self.0.ground(call, &service, mode, &request).await?;
        let owned = service.book.of(&call.plugin);
        let facts = ground.facts(&self.0, call, &owned);
        let allowed = self.0.decide(call, &facts, mode, &request)?;
        let exchange = Exchange {
            host: &self.0,
            service: &service,
            call,
            facts: &facts,
            request: &request,
            mode,
        };
        exchange.run(&allowed).await
    }
}

/// What facts are made of that is not at hand.
#[derive(Default)]
struct Ground {
    nonce: Option<String>,
    workspace: Option<String>,
}

impl Ground {
    fn facts<'a>(&'a self, host: &'a Inner, call: &'a Call, owned: &'a Owned<'_>) -> Facts<'a> {
        Facts {
            host: &host.host,
            plugin: &call.plugin,
            op: call.op.as_ref(),
            nonce: self.nonce.as_deref(),
            terms: call.terms.as_deref(),
            workspace: self.workspace.as_deref(),
            owned,
        }
    }
}

impl Inner {
    /// Decides, and writes the verdict down.
    pub(super) fn decide<'p>(
        &self,
        call: &'p Call,
        facts: &Facts<'_>,
        mode: Mode,
        request: &Request,
    ) -> Result<Allowed<'p>, Error> {
        let allowed = decide(&call.target.policy, facts, mode, request)
            .map_err(|refused| self.refuse(call, mode, request, &refused))?;
        let now_ms = self.options.clock.unix_ms();
        self.trace
            .allowed(call, mode, request, allowed.rule, now_ms);
        Ok(allowed)
    }

    fn refuse(&self, call: &Call, mode: Mode, request: &Request, refused: &Refused) -> Error {
        let now_ms = self.options.clock.unix_ms();
        self.trace.refused(call, mode, request, refused, now_ms);
        refused.error(&call.plugin, &call.endpoint)
    }

    /// What a request needs before it can be decided on: a nonce that is written down, a workspace that
    /// is there. Both only where it passes; what is not there then cannot be forced.
    async fn ground(
        &self,
        call: &Call,
        service: &Service,
        mode: Mode,
        request: &Request,
    ) -> Result<Ground, Error> {
        let Some(op) = &call.op else {
            return Ok(Ground::default());
        };
        let workload = op.item.key.parse().ok();
        let path = workload.map(|workload| self.options.workspaces.path(workload));
        let path = path.and_then(|path| path.to_str().map(str::to_owned));
        let supposed = Ground {
            nonce: Some(format!("{:032x}", 0)),
            workspace: path.clone(),
        };
        let owned = service.book.of(&call.plugin);
        let facts = supposed.facts(self, call, &owned);
        let (forces_nonce, forces_workspace) =
            match decide(&call.target.policy, &facts, mode, request) {
                Ok(allowed) => (
                    allowed.rule.forces(&Fact::Nonce),
                    allowed.rule.forces(&Fact::Workspace),
                ),
                Err(refused) => return Err(self.refuse(call, mode, request, &refused)),
            };
        let mut ground = Ground::default();
        if forces_nonce {
            let (book, plugin, op) = (service.book.clone(), call.plugin.clone(), op.clone());
            let fresh = self.options.entropy.bits();
            let now_ms = self.options.clock.unix_ms();
            let nonce =
                blocking(move || book.nonce(&plugin, &op, || format!("{fresh:032x}"), now_ms));
            ground.nonce = Some(nonce.await?);
        }
        if let Some(workload) = workload
            && forces_workspace
        {
            let workspaces = self.options.workspaces.clone();
            blocking(move || workspaces.create(workload)).await?;
            ground.workspace = path;
        }
        Ok(ground)
    }

    async fn service(&self, call: &Call) -> Result<Arc<Service>, Error> {
        let key = (call.endpoint.clone(), call.target.address.to_string());
        let lock = |map: &Mutex<BTreeMap<_, Arc<Service>>>| {
            map.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&key)
                .cloned()
        };
        if let Some(service) = lock(&self.services) {
            return Ok(service);
        }
        let book = self.book(&call.endpoint).await?;
        let at_once = call.target.policy.at_once;
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let service = services.entry(key).or_insert_with(|| {
            Arc::new(Service {
                transport: Arc::new(Transport::new(call.target.address.clone())),
                book,
                places: Arc::new(Semaphore::new(at_once.requests)),
                streams: Arc::new(Semaphore::new(at_once.streams)),
                kept: Arc::new(Semaphore::new(at_once.kept)),
                jobs: Jobs::default(),
                held: Mutex::default(),
                turns: Mutex::default(),
            })
        });
        Ok(service.clone())
    }

    async fn book(&self, endpoint: &Name) -> Result<Arc<Book>, Error> {
        let known = |books: &Mutex<BTreeMap<Name, Arc<Book>>>| {
            books
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(endpoint)
                .cloned()
        };
        if let Some(book) = known(&self.books) {
            return Ok(book);
        }
        let folder = self.options.folder.join(endpoint.as_str());
        let now_ms = self.options.clock.unix_ms();
        let book = Arc::new(blocking(move || Book::open(&folder, now_ms)).await?);
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        // Of two that opened it at once, one counts: what one learns the other must know.
        Ok(books.entry(endpoint.clone()).or_insert(book).clone())
    }
}

impl Service {
    /// The turn of something that must not be under way twice.
    pub(super) fn turn(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(name.to_owned()).or_default().clone()
    }

    /// Closes the streams of what is gone.
    pub(super) fn close(&self, gone: &[(String, String)]) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, held| !held.ids.iter().any(|id| gone.contains(id)));
    }
}

/// Has something done that waits on the disk or the kernel.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(error) => Err(Error::unavailable(
            "stopping",
            format!("the endpoint was not asked: {error}"),
        )),
    }
}
