//! The rows of the sandbox, drawn from fixed seeds: the work of a document service over the last two weeks, and what is
//! left of one to two months ago.
//!
//! Each task gets a course of moments first; its columns follow from how far `now` has let it come, so a row can never
//! be ahead of its time.

use super::columns::Writer;
use super::courses::draw_courses;
use super::random::{Draw, rng};
use super::receipts::draw_receipts;
use super::rows::{Rows, Task};
use crate::timezone::Tz;
use chrono::{DateTime, Utc};

/// Draws all rows of a sandbox made at `now`.
pub(super) fn draw(now: DateTime<Utc>, zone: Tz) -> Rows {
    let mut files = Vec::new();
    let mut rng = rng(Draw::Columns);
    let tasks: Vec<Task> = (1..)
        .zip(&draw_courses(now, zone))
        .map(|(id, course)| Writer { zone, rng: &mut rng, files: &mut files }.task(id, course))
        .collect();
    let (receipts, tracking) = draw_receipts(&tasks, now, zone, &mut files);
    Rows { tasks, receipts, tracking, files }
}

#[cfg(test)]
mod tests;
