//! What no crash leads to, or too few: files of a later version, forged bytes, and what is too rare to wait for.

use super::{journals, segments, trouble, world};
use crate::recovery::table::Rows;

/// The rows that these cases meet, which are tests as well.
pub(crate) fn rows() -> Rows {
    world::forget_rows();
    journals::a_file_ending_exactly_is_no_failure();
    journals::a_generation_that_the_manifest_should_know_is_damage();
    journals::a_write_of_another_number_does_not_count();
    journals::what_lies_below_the_checkpoint_is_not_needed();
    segments::a_header_that_reaches_beyond_the_segment_is_none();
    segments::a_recorded_gap_is_none();
    segments::a_successor_below_the_tail_cuts_it();
    trouble::a_frame_of_a_kind_that_this_build_does_not_know_waits_for_one_that_does();
    trouble::a_kept_file_that_rots_or_vanishes_is_said();
    trouble::a_missing_file_is_said_of_its_partition_only();
    trouble::a_whole_frame_whose_records_do_not_add_up_is_damage();
    world::rows_met()
}
