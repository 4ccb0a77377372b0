//! A file of the sandbox before it is written: its path, what it holds, and the time that it claims.

use chrono::{DateTime, Utc};
use fastrand::Rng;

/// A whole picture of 8 by 8 pixels. What follows its end, no viewer reads.
const PICTURE: &[u8] = include_bytes!("picture.png");

/// The mark of an archive's closing record. With nothing but zeros up to the length of the comment, which is what
/// follows, it is a whole archive without entries.
const PACKAGE: &[u8] = b"PK\x05\x06";

/// A line of a log, compressed. Such members may follow one another.
const ARCHIVED_LINE: &[u8] = include_bytes!("archived_log.gz");

/// A file that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FilePlan {
    /// Relative to the sandbox.
    pub path: String,
    pub content: Content,
    pub modified: DateTime<Utc>,
}

/// What a file holds, before its bytes are made.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// Of so many bytes, at least as many as the picture itself.
    Picture(u16),
    /// Of so many bytes, at least 22.
    Document(u16),
    Text(String),
    /// So many lines, compressed.
    ArchivedLog(usize),
}

impl Content {
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Content::Picture(size) => {
                let mut bytes = PICTURE.to_vec();
                bytes.resize(usize::from(*size).max(PICTURE.len()), 0);
                bytes
            }
            Content::Document(size) => {
                let comment = size.saturating_sub(22);
                let mut bytes = PACKAGE.to_vec();
                bytes.extend([0; 16]);
                bytes.extend(comment.to_le_bytes());
                bytes.resize(bytes.len() + usize::from(comment), b' ');
                bytes
            }
            Content::Text(text) => text.clone().into_bytes(),
            Content::ArchivedLog(lines) => ARCHIVED_LINE.repeat(*lines),
        }
    }
}

/// A picture or a document, by the ending of its name, of some kilobytes.
pub(super) fn plan(path: String, rng: &mut Rng, modified: DateTime<Utc>) -> FilePlan {
    let size = rng.u16(400..6000);
    FilePlan {
        content: if path.ends_with(".docx") {
            Content::Document(size)
        } else {
            Content::Picture(size)
        },
        path,
        modified,
    }
}
