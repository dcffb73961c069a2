//! What one call may use: memory and processor time.
//!
//! A guest is stopped at every tick of the engine's beat. There it yields, so that a guest that
//! never ends does not hold a thread, and one tick is taken from its budget, unless the tick
//! passed while the guest waited for the host. One that has computed for some ticks goes on only
//! when it is its turn among the guests of its plugin that do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{ResourceLimiter, UpdateDeadline};

use crate::engine::TICK;
use crate::turn::{Turn, Turns};

/// Memory of one call.
#[derive(Debug)]
pub(crate) struct Memory {
    most: usize,
    used: usize,
    refused: bool,
}

/// More than any toolchain makes, and less than the pool has for one component.
const MAX_INSTANCES: usize = 128;
const MAX_TABLES: usize = 64;
const MAX_MEMORIES: usize = 8;
const MAX_TABLE_ELEMENTS: usize = 20_000;

impl Memory {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            used: 0,
            refused: false,
        }
    }

    /// Whether the guest asked for more than it may have.
    pub(crate) fn was_refused(&self) -> bool {
        self.refused
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.used.saturating_sub(current).saturating_add(desired);
        if wanted > self.most {
            self.refused = true;
            return Ok(false);
        }
        self.used = wanted;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = desired <= MAX_TABLE_ELEMENTS;
        self.refused |= !allowed;
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

/// The guest used all of its processor time.
#[derive(Debug, thiserror::Error)]
#[error("out of processor time")]
pub(crate) struct CpuSpent;

/// How many ticks of its own a call computes before it takes turns with others of its plugin.
const FREE_TICKS: u64 = 2;

/// Processor time of one call.
pub(crate) struct Cpu {
    ticks: Arc<AtomicU64>,
    left: u64,
    used: u64,
    /// A tick passed while the host worked for the guest.
    waited: bool,
    turns: Arc<Turns>,
    /// Its turn, while it has it. What waits for one outlives the borrow of this, so it is shared.
    turn: Arc<Mutex<Option<Turn>>>,
}

impl Cpu {
    pub(crate) fn new(budget_ms: u64, ticks: Arc<AtomicU64>, turns: Arc<Turns>) -> Self {
        let tick_ms = u64::try_from(TICK.as_millis()).unwrap_or(1).max(1);
        Self {
            ticks,
            left: budget_ms.div_ceil(tick_ms),
            used: 0,
            waited: false,
            turns,
            turn: Arc::default(),
        }
    }

    /// The beat, to be given back to [`host_ended`](Self::host_ended).
    pub(crate) fn host_began(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }

    /// The guest goes on after the host has worked for it.
    pub(crate) fn host_ended(&mut self, began: u64) {
        self.waited |= self.ticks.load(Ordering::Relaxed) != began;
    }

    /// A tick has stopped the guest.
    pub(crate) fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        if !std::mem::take(&mut self.waited) {
            self.left = self
                .left
                .checked_sub(1)
                .ok_or_else(|| wasmtime::Error::new(CpuSpent))?;
            self.used += 1;
        }
        if self.used < FREE_TICKS {
            return Ok(UpdateDeadline::Yield(1));
        }
        let (turns, turn) = (self.turns.clone(), self.turn.clone());
        drop(lock(&turn).take());
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(async move {
                // Also where nobody else of its plugin waits, others do.
                tokio::task::yield_now().await;
                let mine = turns.take().await;
                *lock(&turn) = Some(mine);
            }),
        ))
    }
}

fn lock(turn: &Mutex<Option<Turn>>) -> std::sync::MutexGuard<'_, Option<Turn>> {
    turn.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use fleet_seam::SimClock;

    use super::*;

    #[test]
    fn memory_is_counted_over_all_memories_and_remembers_a_refusal() {
        let mut memory = Memory::new(100);
        assert!(memory.memory_growing(0, 60, None).unwrap());
        assert!(memory.memory_growing(0, 40, None).unwrap());
        assert!(!memory.was_refused());
        assert!(!memory.memory_growing(60, 61, None).unwrap());
        assert!(memory.was_refused());
        assert!(!memory.memory_growing(0, usize::MAX, None).unwrap());
    }

    fn turns() -> Arc<Turns> {
        Arc::new(Turns::new(Arc::new(SimClock::new(0))))
    }

    /// Stops a guest at a tick and takes it as far as it may go on.
    async fn tick(cpu: &mut Cpu) {
        if let UpdateDeadline::YieldCustom(_, turn) = cpu.tick().unwrap() {
            turn.await;
        }
    }

    #[tokio::test]
    async fn who_computes_for_long_takes_turns() {
        let turns = turns();
        let hog = || Cpu::new(1_000, Arc::default(), turns.clone());
        let (mut first, mut second) = (hog(), hog());
        for cpu in [&mut first, &mut second] {
            for _ in 1..FREE_TICKS {
                assert!(matches!(cpu.tick().unwrap(), UpdateDeadline::Yield(1)));
            }
        }
        tick(&mut first).await;
        let UpdateDeadline::YieldCustom(1, mut waiting) = second.tick().unwrap() else {
            panic!("it does not take turns");
        };
        for _ in 0..5 {
            assert!(futures::poll!(&mut waiting).is_pending());
            tokio::task::yield_now().await;
        }
        // At its next tick the first one goes to the end of the line.
        let UpdateDeadline::YieldCustom(1, mut again) = first.tick().unwrap() else {
            panic!("it does not take turns");
        };
        waiting.await;
        for _ in 0..5 {
            assert!(futures::poll!(&mut again).is_pending());
            tokio::task::yield_now().await;
        }
        // A call that is over gives it back.
        drop(second);
        again.await;
    }

    #[test]
    fn ticks_in_the_guest_count_and_ticks_in_the_host_do_not() {
        let ticks = Arc::new(AtomicU64::new(0));
        let mut cpu = Cpu::new(20, ticks.clone(), turns());
        for _ in 0..10 {
            let began = cpu.host_began();
            ticks.fetch_add(7, Ordering::Relaxed);
            cpu.host_ended(began);
            cpu.tick().unwrap();
        }
        let began = cpu.host_began();
        cpu.host_ended(began);
        cpu.tick().unwrap();
        cpu.tick().unwrap();
        assert!(cpu.tick().is_err_and(|error| error.is::<CpuSpent>()));
    }
}
