//! The order of a batch, whatever the database: delete, ask what must stay, begin again without it; search by halves for a row that is refused.

use super::Deletion;

/// What came of deleting some rows together.
pub enum Outcome {
    Deleted(Deletion),
    /// The database refuses for the sake of one of them, in its words.
    Refused(String),
}

/// Deletes the rows at these places; where the database refuses, each half of them, until it is known which row it keeps.
///
/// # Errors
/// Those of `delete`.
pub fn delete_by_halves<E>(
    places: &[usize],
    delete: &mut dyn FnMut(&[usize]) -> Result<Outcome, E>,
) -> Result<Deletion, E> {
    let words = match delete(places)? {
        Outcome::Deleted(deletion) => return Ok(deletion),
        Outcome::Refused(words) => words,
    };
    if let [place] = places {
        return Ok(Deletion { refused: vec![(*place, words)], ..Deletion::default() });
    }
    let (first, second) = places.split_at(places.len() / 2);
    let mut deletion = delete_by_halves(first, delete)?;
    deletion.add(delete_by_halves(second, delete)?);
    Ok(deletion)
}

/// Deletes the rows at these places, and asks `settle` which of them must stay after all; has those taken back and begins again, until none
/// must. `take_back` undoes what `delete` did.
///
/// # Errors
/// Those of `delete` and `take_back`.
pub fn delete_settled<E>(
    places: &[usize],
    delete: &mut dyn FnMut(&[usize]) -> Result<Deletion, E>,
    settle: &mut dyn FnMut(&Deletion) -> Vec<usize>,
    take_back: &dyn Fn() -> Result<(), E>,
) -> Result<Deletion, E> {
    let mut places = places.to_vec();
    loop {
        let deletion = delete(&places)?;
        let back = settle(&deletion);
        if back.is_empty() {
            return Ok(deletion);
        }
        places.retain(|place| !back.contains(place));
        take_back()?;
    }
}

/// What is said of a row that is only refused at COMMIT.
pub fn refused_at_commit(words: &str) -> String {
    format!(
        "{words} (only once the deletion was being committed, when its files were gone already)"
    )
}
