//! What a document has of one thing.

use crate::document::Document;
use crate::measured::Measured;
use crate::plan::Workload;
use crate::size;

/// What was measured of one thing: a workload, a case, a size. In a comparison, all rounds of all peers.
pub(super) struct Subject<'a> {
    pub(super) workload: Workload,
    pub(super) name: &'a str,
    pub(super) record_size: usize,
    pub(super) measured: Vec<&'a Measured>,
}

/// In the order in which they were begun.
pub(super) fn subjects(document: &Document) -> Vec<Subject<'_>> {
    let mut subjects: Vec<Subject<'_>> = Vec::new();
    for measured in &document.measured {
        let (workload, name, record_size) = (measured.plan.workload, measured.name.as_str(), measured.plan.record_size);
        let same = |s: &&mut Subject<'_>| (s.workload, s.name, s.record_size) == (workload, name, record_size);
        match subjects.iter_mut().find(same) {
            Some(subject) => subject.measured.push(measured),
            None => subjects.push(Subject { workload, name, record_size, measured: vec![measured] }),
        }
    }
    subjects
}

impl Subject<'_> {
    pub(super) fn size(&self) -> String {
        size::exact(self.record_size as u64)
    }
}
