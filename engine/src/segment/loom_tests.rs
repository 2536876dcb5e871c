//! The index under the model checker.

use loom::thread;

use super::{Index, IndexEntry};
use crate::sync::Arc;
use crate::sync::model::{model, needs};

fn entry(number: u32) -> IndexEntry {
    IndexEntry::new(number, u64::from(number + 1) * 128, true, i64::from(number))
}

fn readers_see_whole_entries() {
    let index = Arc::new(Index::from_entries([entry(0)]));
    let reader = {
        let index = Arc::clone(&index);
        thread::spawn(move || {
            for at in 0..index.len() {
                assert_eq!(index.entry(at), entry(at as u32));
            }
            let found = index.lookup_offset(1).expect("there is an entry");
            assert!(found == entry(0) || found == entry(1));
        })
    };
    for number in 1..3 {
        index.reserve();
        index.push(entry(number));
    }
    reader.join().expect("no thread panics");
    assert_eq!(index.len(), 3);
}

#[test]
fn loom_index_readers_see_whole_entries() {
    model(3, readers_see_whole_entries);
}

needs!(loom_the_index_needs_its_release: readers_see_whole_entries without IndexReleases, 3);
needs!(loom_the_index_needs_its_entry_first: readers_see_whole_entries without IndexEntryFirst, 3);
