//! An end for every jq expression. The library evaluates without a way to interrupt it, but looks up each term that it
//! evaluates in a table of ours: there time, steps and the depth of the stack are measured, and there it is left.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use jaq_core::data::HasLut;
use jaq_core::{DataT, Lut};
use jaq_json::Val;

/// Also bounds memory: a step adds few bytes to what is being collected.
const MAX_STEPS: u64 = 20_000_000;

/// The stack on which an evaluation has to run; only what is used of it takes memory.
pub(super) const STACK_BYTES: usize = 64 << 20;

/// The other half is for what does not come by here.
const MAX_STACK_BYTES: usize = STACK_BYTES / 2;

/// How often the clock is read.
const STEPS_PER_LOOK: u64 = 256;

/// The data of an evaluation that is measured.
pub(super) struct Metered;

/// What one evaluation may still take.
pub(super) struct Meter {
    deadline: Instant,
    steps: Cell<u64>,
    /// An address near the bottom of the stack.
    bottom: usize,
}

/// The library's table, with the meter that each look into it passes.
#[derive(Clone, Copy)]
pub(super) struct MeteredLut<'a> {
    lut: &'a Lut<Metered>,
    meter: &'a Meter,
}

/// What is thrown when the meter has run out.
struct RunOut(&'static str);

impl Meter {
    /// Calls `evaluation` until it ends or the meter runs out; the error then says how.
    pub(super) fn run<T>(
        deadline: Instant,
        evaluation: impl FnOnce(&Self) -> Result<T, String>,
    ) -> Result<T, String> {
        let meter = Self {
            deadline,
            steps: Cell::new(0),
            bottom: stack_address(),
        };
        catch_unwind(AssertUnwindSafe(|| evaluation(&meter)))
            .unwrap_or_else(|thrown| Err(reason(thrown)))
    }

    pub(super) fn over<'a>(&'a self, lut: &'a Lut<Metered>) -> MeteredLut<'a> {
        MeteredLut { lut, meter: self }
    }

    fn step(&self) {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        if self.bottom.abs_diff(stack_address()) > MAX_STACK_BYTES {
            run_out("recurses too deep");
        }
        if steps > MAX_STEPS
            || (steps.is_multiple_of(STEPS_PER_LOOK) && Instant::now() >= self.deadline)
        {
            run_out("does not end in time");
        }
    }
}

impl DataT for Metered {
    type V<'a> = Val;
    type Data<'a> = MeteredLut<'a>;
}

impl<'a> HasLut<'a, Metered> for MeteredLut<'a> {
    fn lut(&self) -> &'a Lut<Metered> {
        self.meter.step();
        self.lut
    }
}

/// Leaves the evaluation, without the report that a panic would make.
fn run_out(how: &'static str) {
    resume_unwind(Box::new(RunOut(how)))
}

fn reason(thrown: Box<dyn Any + Send>) -> String {
    match thrown.downcast::<RunOut>() {
        Ok(run_out) => run_out.0.to_owned(),
        Err(panic) => resume_unwind(panic),
    }
}

#[inline(never)]
fn stack_address() -> usize {
    let here = 0u8;
    std::ptr::from_ref(&here).addr()
}
