//! Names that are looked up once a line: each is kept once, all in one piece of memory.
//!
//! A log of nothing but results has one name in every line. A map with a string of its own for
//! each spends most of the time in the allocator.

use std::fmt;
use std::hash::BuildHasher;
use std::hash::RandomState;

/// How many bits of a slot are the entry's number plus one; the others are some of its hash, and
/// spare most comparisons. A small table is a fast one.
const NUMBER: u32 = 24;
/// More names than this are not taken; whoever keeps names sets a lower limit.
const MOST: usize = (1 << NUMBER) - 2;

/// A name's end in the text, its hash, and what belongs to it.
#[derive(Clone)]
struct Entry<T> {
    end: usize,
    hash: u32,
    value: T,
}

/// Names with a value each, in the order in which they came.
#[derive(Clone)]
pub(crate) struct Names<T> {
    text: String,
    entries: Vec<Entry<T>>,
    /// 0 where nothing is.
    slots: Vec<u32>,
    seed: u64,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Names {
            text: String::new(),
            entries: Vec::new(),
            slots: Vec::new(),
            // Whoever writes a log must not know which names collide.
            seed: RandomState::new().hash_one(0_u8) | 1,
        }
    }
}

impl<T> fmt::Debug for Names<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} names", self.entries.len())
    }
}

impl<T> Names<T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The name of that number; empty where there is none.
    pub fn name(&self, at: usize) -> &str {
        let from = match at {
            0 => 0,
            at => self.entries.get(at - 1).map_or(0, |entry| entry.end),
        };
        let end = self.entries.get(at).map_or(from, |entry| entry.end);
        self.text.get(from..end).unwrap_or("")
    }

    /// The value of that number.
    pub fn at(&self, at: usize) -> Option<&T> {
        self.entries.get(at).map(|entry| &entry.value)
    }

    /// The value of that number, to be changed.
    pub fn at_mut(&mut self, at: usize) -> Option<&mut T> {
        self.entries.get_mut(at).map(|entry| &mut entry.value)
    }

    /// The number of a name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.probe(name, self.hash(name)).ok()
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.find(name).and_then(|at| self.at(at))
    }

    /// Whether the name is there.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The number of a name, and whether it is a new one: only then the value is taken.
    pub fn insert(&mut self, name: &str, value: T) -> (usize, bool) {
        if self.entries.len() * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let hash = self.hash(name);
        match self.probe(name, hash) {
            Ok(at) => (at, false),
            Err(_) if self.entries.len() >= MOST => (MOST, false),
            Err(slot) => {
                let at = self.entries.len();
                self.text.push_str(name);
                self.entries.push(Entry {
                    end: self.text.len(),
                    hash,
                    value,
                });
                self.slots[slot] = slot_of(at, hash);
                (at, true)
            }
        }
    }

    /// All names with their values, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        let mut from = 0;
        self.entries.iter().map(move |entry| {
            let name = self.text.get(from..entry.end).unwrap_or("");
            from = entry.end;
            (name, &entry.value)
        })
    }

    /// Drops all that are not to be kept; the others get new numbers.
    pub fn retain(&mut self, keep: impl Fn(&str, &T) -> bool)
    where
        T: Clone,
    {
        let mut kept = Names::default();
        for (name, value) in self.iter().filter(|(name, value)| keep(name, value)) {
            kept.insert(name, value.clone());
        }
        *self = kept;
    }

    fn grow(&mut self) {
        let length = (self.slots.len() * 2).max(64);
        self.slots = vec![0; length];
        for (number, entry) in self.entries.iter().enumerate() {
            let mut at = entry.hash as usize & (length - 1);
            while self.slots[at] > 0 {
                at = (at + 1) & (length - 1);
            }
            self.slots[at] = slot_of(number, entry.hash);
        }
    }

    /// The entry of a name, or the slot where it belongs.
    fn probe(&self, name: &str, hash: u32) -> Result<usize, usize> {
        if self.slots.is_empty() {
            return Err(0);
        }
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return Err(at);
            }
            let entry = (slot & ((1 << NUMBER) - 1)) as usize - 1;
            if slot >> NUMBER == hash >> NUMBER && self.name(entry) == name {
                return Ok(entry);
            }
            at = (at + 1) & mask;
        }
    }

    fn hash(&self, name: &str) -> u32 {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            (product >> 64) as u64 ^ product as u64
        };
        let mut hash = self.seed ^ name.len() as u64;
        let mut pieces = name.as_bytes().chunks_exact(8);
        for piece in &mut pieces {
            let mut word = [0; 8];
            word.copy_from_slice(piece);
            hash = fold(hash ^ u64::from_le_bytes(word), self.seed ^ ODD);
        }
        let rest = pieces.remainder();
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        hash = fold(hash ^ u64::from_le_bytes(word), self.seed ^ ODD);
        (hash >> 32) as u32 ^ hash as u32
    }
}

/// The number of an entry, and the upper bits of its hash.
fn slot_of(number: usize, hash: u32) -> u32 {
    (number as u32 + 1) | (hash >> NUMBER << NUMBER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again_in_their_order() {
        let mut names = Names::default();
        for i in 0..5_000 {
            assert_eq!(names.insert(&format!("module::case_{i}"), i), (i, true));
        }
        assert_eq!(names.insert("module::case_7", 0), (7, false));
        assert_eq!(names.find("module::case_4999"), Some(4999));
        assert_eq!(names.find("module::case_5000"), None);
        assert!(
            names
                .iter()
                .all(|(name, i)| name == format!("module::case_{i}"))
        );
        assert_eq!((names.len(), names.name(3)), (5_000, "module::case_3"));
        if let Some(value) = names.at_mut(3) {
            *value = 9;
        }
        assert_eq!(names.get("module::case_3"), Some(&9));
        assert!(Names::<u8>::default().find("").is_none());
    }
}
