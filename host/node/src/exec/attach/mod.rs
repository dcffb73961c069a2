//! Somebody is attached to a program: its output to them, their input to it.
//!
//! Four things go on at once and none waits for another: `hear` takes in what they say, `give` gives
//! the program its input, `tell` tells them what it prints, `call` passes on sizes and signals. A slow
//! reader holds back the source and nobody else; a program that does not read holds back its input
//! and nothing else. Whoever goes away leaves the program as it is.
//!
//! A source may end or break before the program does: then it is opened again, after what was
//! seen, and what was sent before is not sent again.

mod call;
mod desk;
mod frames;
mod give;
mod hear;
mod seats;
mod tell;
mod waiting;

use std::io;
use std::time::Duration;

use fleet_capability::process::exec::limits;
use fleet_capability::source::{Input, Source};
use fleet_model::exec::ExecState;
use fleet_model::item::Generation;
use fleet_model::{Error, ErrorKind};
use fleet_protocol::bulk::{BulkSink, Pending};
use fleet_protocol::exec::{Attached, CHUNK_BYTES, INPUT_AHEAD_BYTES, KEPT_BYTES, Outward};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use self::desk::Desk;
use self::frames::Meter;
use self::give::{Hand, give};
use self::tell::{Teller, Told};
use super::beside::{Beside, find};
use super::look::look;
pub(super) use seats::Seats;

// What a reader and its host agree on is what a program's keeper does.
const _: () = {
    assert!(KEPT_BYTES == limits::KEPT_BYTES);
    assert!(INPUT_AHEAD_BYTES == limits::INPUT_BYTES);
    assert!(CHUNK_BYTES == limits::CHUNK_BYTES);
};

/// How long whoever was told the end has to say that they saw all of it.
const LINGER: Duration = Duration::from_secs(2);

/// How long a last word may take to be taken.
const LAST_WORD: Duration = Duration::from_secs(5);

/// The pauses between looks at a program whose output has ended and whose end is not known yet, in
/// milliseconds.
const LOOKS_MS: [u64; 8] = [0, 10, 40, 100, 250, 500, 1_000, 2_000];

/// A source that breaks so often in a row is given up.
const MOST_BROKEN: u32 = 3;

/// How an attachment ended.
enum Outcome {
    /// Nobody is there any more, or all was said.
    Gone,
    /// It is to be told why.
    Failed(Error),
}

/// Attaches. Whoever was attached before is let go first.
pub(super) async fn attach(pending: Pending, beside: Beside, after: u64) -> io::Result<()> {
    if let Err(error) = beside.known() {
        return pending.refuse(error).await;
    }
    let seat = beside.context.execs.seats.take(beside.id).await;
    let source = match open(&beside, after).await {
        Ok(source) => source,
        Err(error) => return pending.refuse(error).await,
    };
    let (sink, mut incoming) = pending.accept().await?.split();
    let taken = source.input.as_ref().map_or(0, |input| input.taken());
    let (desk, mut signals) = Desk::new(after, taken);
    let mut talk = Talk {
        beside: &beside,
        teller: Teller {
            sink,
            meter: Meter::new(after),
            taken: desk.taken.subscribe(),
            sent: desk.sent.clone(),
        },
        hand: Hand::default(),
        input: None,
    };
    let attached = Outward::Attached(Attached {
        after,
        taken,
        terminal: beside.record.spec.terminal.is_some(),
    });
    talk.teller.say(&attached).await?;
    let outcome = tokio::select! {
        heard = hear::hear(&mut incoming, &desk, &beside.record.spec) => match heard {
            Ok(()) => Outcome::Gone,
            Err(error) => Outcome::Failed(error),
        },
        talked = talk.talk(source, after, &desk) => match talked {
            Ok(Ok(())) | Err(_) => Outcome::Gone,
            Ok(Err(error)) => Outcome::Failed(error),
        },
        called = call::call(&beside, &desk, &mut signals) => match called {
            Ok(()) => Outcome::Gone,
            Err(error) => Outcome::Failed(error),
        },
        () = seat.wanted() => Outcome::Failed(Error::conflict(
            "attached-elsewhere",
            "somebody else has attached to the program, and it has one reader at a time",
        )),
    };
    let Talk {
        teller,
        mut hand,
        input,
        ..
    } = talk;
    if let Some(mut input) = input {
        tokio::select! {
            () = hand.tell_seen(&mut *input, &desk) => {}
            () = beside.context.clock.sleep(LINGER) => {}
        }
    }
    drop(seat);
    tokio::select! {
        said = last_word(teller.sink, outcome) => said,
        () = beside.context.clock.sleep(LAST_WORD) => Ok(()),
    }
}

async fn last_word(mut sink: BulkSink, outcome: Outcome) -> io::Result<()> {
    if let Outcome::Failed(error) = outcome {
        sink.send(Outward::Failed(error).encode()).await?;
    }
    sink.finish().await
}

/// One attachment, from source to source.
struct Talk<'a> {
    beside: &'a Beside,
    teller: Teller,
    hand: Hand,
    input: Option<Box<dyn Input>>,
}

impl Talk<'_> {
    /// Talks until the program has ended and all was told, or the source is given up.
    ///
    /// # Errors
    /// When nobody is there any more.
    async fn talk(
        &mut self,
        mut source: Source,
        mut after: u64,
        desk: &Desk,
    ) -> io::Result<Result<(), Error>> {
        let mut broken = 0;
        loop {
            self.input = source.input.take();
            self.hand.opened(after);
            let failure = match self.turn(&mut source.output, desk).await? {
                Told::All => match over(self.beside).await {
                    Ok(Some(state)) => {
                        self.teller.say(&Outward::Ended(state)).await?;
                        self.listen(desk).await;
                        return Ok(Ok(()));
                    }
                    // It runs, so there is more to come.
                    Ok(None) => None,
                    Err(error) => return Ok(Err(error)),
                },
                Told::Stopped => None,
                Told::Broken(error) => Some(error),
            };
            match failure {
                None => broken = 0,
                Some(error) => {
                    broken += 1;
                    if broken >= MOST_BROKEN || !error.kind.is_retryable() {
                        return Ok(Err(error));
                    }
                    let pause = Duration::from_millis(100) * broken;
                    self.beside.context.clock.sleep(pause).await;
                }
            }
            // The old one goes before the new one comes.
            drop(source);
            self.input = None;
            after = *desk.seen.borrow();
            source = match open(self.beside, after).await {
                Ok(source) => source,
                Err(error) => return Ok(Err(error)),
            };
            self.teller.meter.opened(after);
        }
    }

    /// One source, until it ends, breaks, or is to be opened again.
    async fn turn(&mut self, output: &mut tell::Output, desk: &Desk) -> io::Result<Told> {
        let stop = CancellationToken::new();
        let telling = self.teller.tell(output, &stop);
        let giving = give(self.input.as_mut(), &mut self.hand, desk);
        tokio::pin!(telling, giving);
        let given = tokio::select! {
            biased;
            told = &mut telling => return told,
            given = &mut giving => given,
        };
        // What is being told is told to its end: it counts as sent.
        stop.cancel();
        match (telling.await?, given) {
            (Told::Stopped, Err(error)) => Ok(Told::Broken(error)),
            (told, _) => Ok(told),
        }
    }

    /// All was said: for a moment, passes on what is seen.
    async fn listen(&mut self, desk: &Desk) {
        tokio::select! {
            _ = give(self.input.as_mut(), &mut self.hand, desk) => {}
            () = self.beside.context.clock.sleep(LINGER) => {}
        }
    }
}

/// Opens its source. Of one that is over and forgotten by its backend, nothing comes out.
async fn open(beside: &Beside, after: u64) -> Result<Source, Error> {
    let opened = beside
        .driver
        .open_exec(&beside.at.item, &beside.handle, beside.known()?, after)
        .await;
    match opened {
        Err(error) if error.kind == ErrorKind::NotFound => match look(beside).await? {
            ExecState::Running => Err(error),
            _ => Ok(Source {
                output: futures::stream::empty().boxed(),
                input: None,
            }),
        },
        opened => opened,
    }
}

/// How it ended, waiting a while for one whose output has ended; none where it runs all the same.
async fn over(beside: &Beside) -> Result<Option<ExecState>, Error> {
    let mut looked = Ok(None);
    for pause_ms in LOOKS_MS {
        if pause_ms > 0 {
            let pause = Duration::from_millis(pause_ms);
            beside.context.clock.sleep(pause).await;
        }
        let newest = find(
            &beside.context,
            &beside.at.item,
            Generation(u64::MAX),
            beside.id,
        );
        looked = match newest {
            Ok(newest) => look(&newest).await.map(Some),
            Err(error) => Err(error),
        };
        match &looked {
            Ok(Some(state)) if state.is_over() => return looked,
            Err(error) if !error.kind.is_retryable() => return looked,
            _ => {}
        }
    }
    looked.map(|state| state.filter(ExecState::is_over))
}
