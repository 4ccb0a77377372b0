//! A panic is a defect of taskmon. The run ends like any that fails: with the error document, its record, the alert `job_failed`, the textfile and
//! the end ping.

use super::output::Done;
use crate::outcome::{Failure, Kind, Outcome};
use anyhow::Result;
use serde_json::json;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does some work; a panic within becomes its error. Where it was, the standard hook says on standard error.
pub(super) fn catch<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // What the work has left half done is not used afterwards, but for locks, which are released.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(failure(&*panic).into()))
}

/// The error document of a run that can do nothing more.
pub(super) fn document(error: &anyhow::Error) -> Done {
    let failure = Failure::of(error);
    let document = json!({"success": false, "error": failure}).to_string();
    Done::new(document, Outcome::Failed(failure.kind))
}

fn failure(panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Failure::new(Kind::Internal, format!("taskmon met a defect of its own and stopped: {text}"))
        .hint("please report it, with what standard error says of it")
}
