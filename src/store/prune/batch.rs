//! The order of a batch, whatever the database: delete, ask what must stay, begin again without it; search by halves for a row that is refused.

use super::{Deletion, Partly};

/// What came of deleting some rows together.
pub enum Outcome {
    Deleted(Deletion),
    /// The database refuses for the sake of one of them, in its words.
    Refused(String),
    /// They are more than it deletes at once.
    TooMany,
}

/// Deletes the rows at these places; if the database refuses, each half of them, and so on until the row at fault is found, or until they are few
/// enough.
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
        Outcome::TooMany => "it takes too long by itself".to_owned(),
    };
    if let [place] = places {
        return Ok(Deletion { refused: vec![(*place, words)], ..Deletion::default() });
    }
    let (first, second) = places.split_at(places.len() / 2);
    let mut deletion = delete_by_halves(first, delete)?;
    deletion.add(delete_by_halves(second, delete)?);
    Ok(deletion)
}

/// Deletes the rows at these places, and adds those that it leaves in doubt.
type Transaction<'t> = dyn FnMut(&[usize], &mut Vec<usize>) -> anyhow::Result<Outcome> + 't;

/// The same of all rows of a batch, each `delete` being a transaction of its own.
///
/// # Errors
/// With what was committed before.
pub fn delete_in_transactions(
    rows: usize,
    delete: &mut Transaction,
) -> Result<Deletion, Box<Partly>> {
    let (mut done, mut doubtful) = (Deletion::default(), Vec::new());
    let places: Vec<usize> = (0..rows).collect();
    let ended = delete_by_halves(&places, &mut |places| {
        let outcome = delete(places, &mut doubtful)?;
        if let Outcome::Deleted(deletion) = &outcome {
            done.add(deletion.clone());
        }
        Ok(outcome)
    });
    let in_doubt = |deletion: Deletion| {
        doubtful.retain(|place| !deletion.deleted.contains(place));
        doubtful.sort_unstable();
        doubtful.dedup();
        Deletion { doubtful, ..deletion }
    };
    match ended {
        Ok(deletion) => Ok(in_doubt(deletion)),
        Err(error) => Err(Box::new(Partly { error, done: in_doubt(done) })),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn deleted(places: &[usize]) -> Deletion {
        Deletion { deleted: places.to_vec(), ..Deletion::default() }
    }

    #[test]
    fn rows_that_the_database_refuses_are_found_by_halves_and_the_others_go() {
        let places: Vec<usize> = (0..10).collect();
        let deletion = delete_by_halves(&places, &mut |places| -> Result<Outcome, ()> {
            let refused = places.iter().find(|place| [3, 8].contains(*place));
            Ok(match refused {
                Some(place) => Outcome::Refused(format!("row {place}")),
                None => Outcome::Deleted(deleted(places)),
            })
        });
        let Deletion { deleted, refused, .. } = deletion.unwrap();
        assert_eq!(deleted, [0, 1, 2, 4, 5, 6, 7, 9]);
        assert_eq!(refused, [(3, "row 3".to_owned()), (8, "row 8".to_owned())]);
    }

    #[test]
    fn what_was_committed_before_an_error_is_known_and_so_is_what_is_in_doubt() {
        let ended = delete_in_transactions(8, &mut |places, doubtful| match places {
            [0, ..] if places.len() == 8 => Ok(Outcome::TooMany),
            [0, ..] => Ok(Outcome::Deleted(deleted(places))),
            _ => {
                doubtful.extend([5, 4, 5]);
                anyhow::bail!("lost")
            }
        });
        let Partly { error, done } = *ended.unwrap_err();
        assert_eq!(error.to_string(), "lost");
        assert_eq!((done.deleted, done.doubtful), (vec![0, 1, 2, 3], vec![4, 5]));
        // Once a second try has deleted them, there is no doubt.
        let ended = delete_in_transactions(2, &mut |places, doubtful| {
            doubtful.extend(places);
            Ok(Outcome::Deleted(deleted(&places[..1])))
        });
        let Deletion { deleted, doubtful, .. } = ended.unwrap();
        assert_eq!((deleted, doubtful), (vec![0], vec![1]));
    }

    #[test]
    fn what_takes_too_long_is_halved_until_it_is_few_enough() {
        let places: Vec<usize> = (0..10).collect();
        let mut sizes = Vec::new();
        let deletion = delete_by_halves(&places, &mut |places| -> Result<Outcome, ()> {
            sizes.push(places.len());
            Ok(match places.len() {
                0..4 => Outcome::Deleted(deleted(places)),
                _ => Outcome::TooMany,
            })
        });
        assert_eq!(deletion.unwrap().deleted, places);
        assert_eq!(sizes, [10, 5, 2, 3, 5, 2, 3]);
    }

    #[test]
    fn rows_that_are_taken_back_are_left_out_when_the_batch_begins_again() {
        let tries = std::cell::RefCell::new(Vec::new());
        let mut back = vec![vec![], vec![2], vec![0, 1]];
        let deletion = delete_settled(
            &[0, 1, 2, 3],
            &mut |places| -> Result<Deletion, ()> {
                tries.borrow_mut().push(places.to_vec());
                Ok(deleted(places))
            },
            &mut |_| back.pop().unwrap(),
            &|| {
                tries.borrow_mut().push(Vec::new());
                Ok(())
            },
        );
        assert_eq!(deletion.unwrap().deleted, [3]);
        assert_eq!(*tries.borrow(), [vec![0, 1, 2, 3], vec![], vec![2, 3], vec![], vec![3]]);
    }
}
