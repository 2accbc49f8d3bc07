//! The list of objects: read, sorted, and one of them selected.

use std::cmp::Ordering;
use std::collections::HashMap;

use villas_shm::inspect::{self, Entry, Id, State};

use super::super::words;
use super::rates::Rates;
use crate::cli::Sort;

/// An object, and its rates since the look before.
pub(super) struct Item {
    pub(super) entry: Entry,
    pub(super) name: String,
    /// `None`: it was absent from the look before.
    pub(super) rates: Option<Rates>,
}

impl Item {
    /// Lines that it takes: one for each queue.
    pub(super) fn lines(&self) -> usize {
        self.entry.queues.len().max(1)
    }

    /// The filled fraction of the fullest queue.
    fn fill(&self) -> f64 {
        self.entry.queues.iter().map(|queue| queue.depth as f64 / queue.capacity.max(1) as f64).fold(0.0, f64::max)
    }

    fn rate(&self) -> f64 {
        self.rates.as_ref().map_or(0.0, Rates::total)
    }

    /// States that need attention come first.
    fn urgency(&self) -> u8 {
        match self.entry.state {
            State::Corrupt => 0,
            State::Stale => 1,
            State::Live => 2,
            State::Unused => 3,
            _ => 4,
        }
    }
}

/// See the module's description.
pub(super) struct List {
    pub(super) items: Vec<Item>,
    /// Why the last look failed.
    pub(super) trouble: Option<String>,
    sort: Sort,
    is_reversed: bool,
    filter: String,
    /// Index of the selected object; the selection follows the object.
    marked: usize,
    /// The first line that is shown.
    first: usize,
}

impl List {
    pub(super) fn new(sort: Sort, filter: String) -> List {
        List { items: Vec::new(), trouble: None, sort, is_reversed: false, filter, marked: 0, first: 0 }
    }

    /// Looks at all wanted objects.
    pub(super) fn look(&mut self) {
        let is_wanted = |id: &Id| words::id(id).contains(&self.filter);
        let entries = match inspect::list_if(is_wanted) {
            Ok(entries) => entries,
            Err(error) => return self.trouble = Some(error.to_string()),
        };
        self.trouble = None;
        let marked = self.marked().map(|item| item.entry.id.clone());
        let before: HashMap<Id, Entry> = self.items.drain(..).map(|item| (item.entry.id.clone(), item.entry)).collect();
        self.items.extend(entries.into_iter().map(|entry| Item {
            rates: before.get(&entry.id).and_then(|before| Rates::between(before, &entry)),
            name: words::name(&entry),
            entry,
        }));
        self.arrange(marked);
        self.look_closer();
    }

    /// Looks for the newest samples of the marked object, which is shown in full.
    fn look_closer(&mut self) {
        let marked = self.marked;
        let Some(Item { entry, .. }) = self.items.get_mut(marked) else { return };
        let Id::Name(name) = &entry.id else { return };
        let Ok(closer) = inspect::look(name, 1) else { return };
        if closer.is_same_object(entry) {
            entry.queues.iter_mut().zip(closer.queues).for_each(|(queue, closer)| queue.newest = closer.newest);
        }
    }

    /// Sorts all. The selection stays on the same object, or on its place if the object is gone.
    fn arrange(&mut self, marked: Option<Id>) {
        let sort = self.sort;
        let by = |a: &Item, b: &Item| match sort {
            Sort::Name => Ordering::Equal,
            Sort::Rate => b.rate().total_cmp(&a.rate()),
            Sort::Fill => b.fill().total_cmp(&a.fill()),
            Sort::State => a.urgency().cmp(&b.urgency()),
            Sort::Size => b.entry.size.cmp(&a.entry.size),
        };
        // System V segments have no name and come last.
        let is_named = |item: &Item| matches!(item.entry.id, Id::Name(_));
        self.items.sort_by(|a, b| by(a, b).then_with(|| is_named(b).cmp(&is_named(a))).then_with(|| a.name.cmp(&b.name)));
        if self.is_reversed {
            self.items.reverse();
        }
        if let Some(at) = marked.and_then(|id| self.items.iter().position(|item| item.entry.id == id)) {
            self.marked = at;
        }
        self.marked = self.marked.min(self.items.len().saturating_sub(1));
    }

    fn arrange_again(&mut self) {
        let marked = self.marked().map(|item| item.entry.id.clone());
        self.arrange(marked);
    }

    pub(super) fn sort(&self) -> (Sort, bool) {
        (self.sort, self.is_reversed)
    }

    pub(super) fn sort_by_next(&mut self) {
        self.sort = match self.sort {
            Sort::Name => Sort::Rate,
            Sort::Rate => Sort::Fill,
            Sort::Fill => Sort::State,
            Sort::State => Sort::Size,
            Sort::Size => Sort::Name,
        };
        self.arrange_again();
    }

    pub(super) fn reverse(&mut self) {
        self.is_reversed = !self.is_reversed;
        self.arrange_again();
    }

    pub(super) fn filter(&self) -> &str {
        &self.filter
    }

    pub(super) fn set_filter(&mut self, filter: String) {
        self.filter = filter;
    }

    pub(super) fn marked(&self) -> Option<&Item> {
        self.items.get(self.marked)
    }

    pub(super) fn is_marked(&self, at: usize) -> bool {
        at == self.marked
    }

    /// Moves the selection by this many objects, within the list.
    pub(super) fn step(&mut self, by: isize) {
        self.marked = self.marked.saturating_add_signed(by).min(self.items.len().saturating_sub(1));
    }

    /// Moves the selection by this many lines, and by at least one object.
    pub(super) fn step_lines(&mut self, by: isize) {
        let mut left = by.unsigned_abs();
        let start = self.marked;
        while let Some(item) = self.marked() {
            let lines = item.lines();
            let before = self.marked;
            if left < lines && self.marked != start {
                break;
            }
            self.step(by.signum());
            if self.marked == before {
                break;
            }
            left = left.saturating_sub(lines);
        }
    }

    /// The lines on a page of this height, as indices of object and queue: including all lines of
    /// the selected object, if they fit.
    pub(super) fn page(&mut self, height: usize) -> Vec<(usize, usize)> {
        let lines: Vec<(usize, usize)> =
            self.items.iter().enumerate().flat_map(|(at, item)| (0..item.lines()).map(move |queue| (at, queue))).collect();
        let start = lines.iter().position(|&(at, _)| at == self.marked).unwrap_or(0);
        let end = start + self.marked().map_or(1, Item::lines);
        self.first = self.first.min(lines.len().saturating_sub(height)).max(end.saturating_sub(height)).min(start);
        lines.into_iter().skip(self.first).take(height).collect()
    }

    /// How many objects are in each state, with the state's word.
    pub(super) fn counts(&self) -> Vec<(&'static str, usize)> {
        let mut counts: Vec<(&'static str, usize)> = ["live", "stale", "corrupt", "unused", "unknown"].map(|s| (s, 0)).into();
        for item in &self.items {
            let word = words::state(&item.entry);
            counts.iter_mut().filter(|(state, _)| *state == word).for_each(|(_, count)| *count += 1);
        }
        counts.retain(|(_, count)| *count > 0);
        counts
    }
}
