//! A million of something by their ids, filled once: sorted, and found by the first two bytes of an id, because ids are random. A search over
//! all of them would wait for memory at every step.

/// An id of whatever thing.
pub(super) type Id = [u8; 16];

/// Values by id; an id may have several.
#[derive(Debug)]
pub(super) struct ById<T> {
    rows: Vec<(Id, T)>,
    /// For each beginning of an id, how many are before it.
    starts: Vec<usize>,
}

impl<T: Ord> ById<T> {
    pub(super) fn new(mut rows: Vec<(Id, T)>) -> Self {
        rows.sort_unstable();
        let mut starts = Vec::with_capacity(BEGINNINGS + 1);
        for (at, (id, _)) in rows.iter().enumerate() {
            starts.resize(starts.len().max(beginning(id) + 1), at);
        }
        starts.resize(BEGINNINGS + 1, rows.len());
        Self { rows, starts }
    }

    /// All from the first that an id has, in order.
    fn from(&self, id: &Id) -> &[(Id, T)] {
        let bound = |at: usize| self.starts.get(at).copied().unwrap_or_default();
        let like = self.rows.get(bound(beginning(id))..bound(beginning(id) + 1)).unwrap_or_default();
        like.get(like.partition_point(|(other, _)| other < id)..).unwrap_or_default()
    }

    /// What an id has, in order.
    pub(super) fn of(&self, id: &Id) -> &[(Id, T)] {
        let from = self.from(id);
        from.get(..from.iter().take_while(|(other, _)| other == id).count()).unwrap_or_default()
    }

    /// The first that an id has.
    pub(super) fn first(&self, id: &Id) -> Option<&T> {
        self.from(id).first().filter(|(other, _)| other == id).map(|(_, value)| value)
    }

    /// Whether an id has any.
    pub(super) fn has(&self, id: &Id) -> bool {
        self.first(id).is_some()
    }

    pub(super) fn rows(&self) -> &[(Id, T)] {
        &self.rows
    }
}

/// Beginnings that an id may have.
const BEGINNINGS: usize = 1 << 16;

fn beginning(id: &Id) -> usize {
    let [first, second, ..] = id;
    usize::from(u16::from_be_bytes([*first, *second]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(first: u8, second: u8, last: u8) -> Id {
        let mut id = [7; 16];
        (id[0], id[1], id[15]) = (first, second, last);
        id
    }

    #[test]
    fn each_is_found_and_nothing_else() {
        let ids = [id(0, 0, 0), id(0, 0, 9), id(0, 1, 0), id(9, 9, 9), id(255, 255, 0), id(255, 255, 255)];
        let rows = ids.iter().rev().enumerate().map(|(at, id)| (*id, at)).collect();
        let found = ById::new(rows);
        for (at, id) in ids.iter().rev().enumerate() {
            assert_eq!(found.of(id), [(*id, at)]);
        }
        for other in [id(0, 0, 1), id(0, 2, 0), id(1, 0, 0), id(255, 254, 0), id(255, 255, 1)] {
            assert!(!found.has(&other), "{other:?}");
        }
    }

    #[test]
    fn an_id_has_its_values_in_order() {
        let found = ById::new(vec![(id(1, 1, 1), 5), (id(1, 1, 2), 1), (id(1, 1, 1), 3), (id(1, 1, 1), 4)]);
        assert_eq!(found.of(&id(1, 1, 1)).iter().map(|(_, value)| *value).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!((found.first(&id(1, 1, 1)), found.first(&id(1, 1, 3))), (Some(&3), None));
        assert!(ById::<u8>::new(Vec::new()).of(&id(0, 0, 0)).is_empty());
    }
}
