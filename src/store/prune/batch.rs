//! The order of a batch, whatever the database: delete, ask what must stay, begin again without it; search by halves for a row that is refused.

use super::Deletion;

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
