//! A map that forgets: bounded, and what was used last is kept longest.
//!
//! Two generations instead of a list of all entries by age: what is asked for moves to the young one, and when
//! that is full the old one goes as a whole. Costs nothing between, and keeps at least the last half of its
//! bound. Invariant: never more entries than it was made for.

use std::collections::HashMap;
use std::hash::Hash;

/// Up to a number of entries.
#[derive(Debug)]
pub(super) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// The most in each generation.
    each: usize,
}

impl<K: Copy + Eq + Hash, V> Generations<K, V> {
    /// An empty one for `entries_max` entries; for fewer than two it stays empty.
    pub(super) fn new(entries_max: usize) -> Generations<K, V> {
        Generations { young: HashMap::new(), old: HashMap::new(), each: entries_max / 2 }
    }

    /// Changes the bound. What is beyond a smaller one goes.
    pub(super) fn resize(&mut self, entries_max: usize) {
        self.each = entries_max / 2;
        if self.young.len() > self.each {
            self.young = HashMap::new();
        }
        if self.old.len() > self.each {
            self.old = HashMap::new();
        }
    }

    /// The value, which stays young by this.
    pub(super) fn get(&mut self, key: K) -> Option<&mut V> {
        if !self.young.contains_key(&key) {
            let value = self.old.remove(&key)?;
            self.insert(key, value);
        }
        self.young.get_mut(&key)
    }

    /// Puts a value in, in place of the one before.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.each == 0 {
            return;
        }
        if self.young.len() >= self.each && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    /// Changes the value, a new one if there is none.
    pub(super) fn update(&mut self, key: K, change: impl FnOnce(&mut V))
    where
        V: Default,
    {
        if self.get(key).is_none() {
            self.insert(key, V::default());
        }
        if let Some(value) = self.get(key) {
            change(value);
        }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Every entry, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.young.iter().chain(&self.old).map(|(key, value)| (*key, value))
    }
}

/// A key made of names, the same in every process (FNV-1a), so that it can be saved. Names may come from
/// clients and be of any length; this keeps none of them. Each name ends, so that `ab c` is not `a bc`.
pub(super) fn key_of(names: &[&str]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = names.iter().flat_map(|name| name.bytes().chain([0xff]));
    bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut map = Generations::new(8);
        for key in 0..1_000_u32 {
            map.insert(key, key);
            assert_eq!(map.get(0).copied(), Some(0), "it was used all the time");
        }
        assert_eq!(map.get(1), None);
        assert_eq!(map.get(998).copied(), Some(998));
        assert!(map.len() <= 8);
    }

    #[test]
    fn a_smaller_bound_takes_effect_at_once_and_none_keeps_nothing() {
        let mut map = Generations::new(100);
        (0..90_u32).for_each(|key| map.insert(key, ()));
        map.resize(10);
        assert!(map.len() <= 10);
        map.resize(0);
        map.insert(1, ());
        map.update(2, |()| panic!("there is nothing to change"));
        assert_eq!(map.len(), 0);
    }

    #[test]
    fn keys_tell_where_a_name_ends() {
        assert_ne!(key_of(&["ab", "c"]), key_of(&["a", "bc"]));
        assert_ne!(key_of(&["a"]), key_of(&["a", ""]));
        assert_eq!(key_of(&["a", "b"]), key_of(&["a", "b"]));
    }

    proptest! {
        #[test]
        fn it_never_tells_another_value_and_never_grows(
            bound in 0..20_usize,
            steps in prop::collection::vec((0..40_u8, any::<bool>()), 0..200),
        ) {
            let mut map = Generations::new(bound);
            let mut truth = HashMap::new();
            for (step, (key, is_write)) in steps.into_iter().enumerate() {
                if is_write {
                    map.insert(key, step);
                    truth.insert(key, step);
                    let kept = map.get(key).copied();
                    prop_assert!(bound < 2 || kept == Some(step));
                } else if let Some(value) = map.get(key) {
                    prop_assert_eq!(Some(&*value), truth.get(&key));
                }
                prop_assert!(map.len() <= bound);
            }
        }
    }
}
