//! What one rendering may cost, so that no template can take a process down.

use super::{MAX_OUTPUT, Place, TemplateError, TemplateErrorKind};

/// Blocks, parentheses and calls in each other while running; what a stack of 2 MiB holds several times.
const MAX_DEPTH: usize = 150;

/// Steps and bytes handled, the output included.
const MAX_WORK: usize = 20 * MAX_OUTPUT;

// A step costs as much as writing so many bytes.
const STEP: usize = 16;

/// What is left for a rendering.
pub(super) struct Budget {
    depth: usize,
    work: usize,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            depth: 0,
            work: MAX_WORK,
        }
    }

    pub(super) fn enter(&mut self, place: Place) -> Result<(), TemplateError> {
        self.depth += 1;
        match self.depth > MAX_DEPTH {
            true => Err(limit(place, format!("more than {MAX_DEPTH} levels deep"))),
            false => Ok(()),
        }
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Counts a step that handles so many bytes.
    pub(super) fn spend(&mut self, bytes: usize, place: Place) -> Result<(), TemplateError> {
        match self.work.checked_sub(STEP + bytes) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => Err(limit(place, "the template takes too long".to_owned())),
        }
    }

    /// Fails when a text of so many bytes would be too long.
    pub(super) fn output(&self, bytes: usize, place: Place) -> Result<(), TemplateError> {
        match bytes > MAX_OUTPUT {
            true => Err(limit(
                place,
                format!("more than {MAX_OUTPUT} bytes of text"),
            )),
            false => Ok(()),
        }
    }
}

fn limit(place: Place, message: String) -> TemplateError {
    place.error(TemplateErrorKind::Limit, message)
}
