//! What a shim holds for a workload beside its output: the way in for commands, the way out for
//! packets, and the lock under which it alone does.

use std::fs::File;
use std::io;
use std::path::Path;

use fleet_model::{Error, Generation};
use fleet_seam::SystemEntropy;
use rustix::event::{PollFd, PollFlags};

use super::bound::Bound;
use super::commands::Commands;
use super::control::Control;
use super::emitters::Emitters;
use super::lock::Lock;
use super::message::Order;
use super::points::ShimPoints;
use crate::fault;
use crate::input::journal::Journal;
use crate::log::writer::Writer;
use crate::packets::{spool, writer};
use crate::process::slot::CONTROL;
use crate::source::Stream;

/// The channels of one try. Dropped, the sockets go first and the lock last.
pub(super) struct Channels<'a> {
    commands: Commands<'a>,
    emitters: Emitters<'a>,
    _lock: Lock,
}

impl<'a> Channels<'a> {
    /// Opens them. Nothing is decided by that: they are closed again when they are dropped.
    pub(super) fn open(
        workload: &Path,
        generation: Generation,
        order: &Order,
        lock: Lock,
        points: &'a dyn ShimPoints,
    ) -> Result<Self, Error> {
        let (journal, book) = Journal::open(workload)
            .map_err(|error| fault::storage("read the journal of", workload, &error))?;
        // By its name alone: the shim is in its slot, and the path may be too long for a socket.
        let control = Bound::at(Path::new(CONTROL))
            .map_err(|error| fault::storage("listen at", Path::new(CONTROL), &error))?;
        let socket = Bound::at(&order.packet_socket)
            .map_err(|error| fault::storage("listen at", &order.packet_socket, &error))?;
        let (root, name) = parts(workload)
            .map_err(|error| fault::storage("find the name of", workload, &error))?;
        let spool = writer::Writer::new(
            spool::folder(workload),
            order.packets,
            &SystemEntropy,
            points,
        );
        let mut emitters = Emitters::new(socket, spool, root.to_owned(), name.to_owned(), points);
        emitters.resume();
        Ok(Self {
            commands: Commands::new(Control::new(control), journal, book, generation, points),
            emitters,
            _lock: lock,
        })
    }

    /// Begins with the program's input, if it has one. Says in the log what will not come in.
    pub(super) fn connect(&mut self, stdin: Option<File>, log: &mut Writer, time: &str) {
        self.commands.drop_outdated(|texts| {
            for text in texts {
                log.add(time, Stream::Event, true, text.as_bytes());
            }
            log.flush(time);
        });
        if let Some(stdin) = stdin {
            self.commands.connect(stdin);
        }
    }

    pub(super) fn watch<'f>(&'f self, watched: &mut Vec<PollFd<'f>>) {
        self.commands.watch(watched);
        self.emitters.watch(watched);
    }

    pub(super) fn wait_ms(&self, now_ms: u64) -> Option<u64> {
        let commands = self.commands.wait_ms(now_ms).into_iter();
        commands.chain(self.emitters.wait_ms(now_ms)).min()
    }

    /// Moves everything on; `seen` are the flags of what [`Self::watch`] named, in order.
    pub(super) fn turn(
        &mut self,
        mut seen: impl Iterator<Item = PollFlags>,
        buffer: &mut [u8],
        log: &mut Writer,
        time: &str,
        now_ms: u64,
    ) {
        self.commands.turn(&mut seen, buffer, now_ms);
        if let Some(text) = self.emitters.turn(&mut seen, buffer, now_ms) {
            log.add(time, Stream::Event, true, text.as_bytes());
        }
    }

    /// The program ended; what it said may still come in.
    pub(super) fn end_commands(&mut self) {
        self.commands.end();
    }

    /// Whether connections for packets are open.
    pub(super) fn has_open(&mut self) -> bool {
        self.emitters.has_open()
    }

    /// Whether packets are left that nobody can add to.
    pub(super) fn has_rest(&self) -> bool {
        self.emitters.has_rest()
    }

    /// Closes them.
    pub(super) fn close(mut self, log: &mut Writer, time: &str) {
        if let Some(text) = self.emitters.finish() {
            log.add(time, Stream::Event, true, text.as_bytes());
        }
    }
}

/// The folder of all workloads and the name of this one.
fn parts(workload: &Path) -> io::Result<(&Path, &str)> {
    let name = workload.file_name().and_then(|name| name.to_str());
    let missing = || io::Error::new(io::ErrorKind::InvalidInput, "not a workload's folder");
    workload.parent().zip(name).ok_or_else(missing)
}
