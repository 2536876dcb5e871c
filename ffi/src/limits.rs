//! The engine's limits, by names of C.

/// The most bytes of a record's key, value and headers together.
pub const THALWEG_RECORD_MAX: u32 = 16_777_216;
/// The most bytes of a key.
pub const THALWEG_KEY_MAX: u32 = 1_048_576;
/// The most headers of a record.
pub const THALWEG_HEADERS_MAX: u32 = 1_024;
/// The most bytes of a header's name.
pub const THALWEG_HEADER_NAME_MAX: u32 = 1_024;
/// The most records of a batch.
pub const THALWEG_BATCH_RECORDS_MAX: u32 = 65_535;
/// The most partitions of a topic.
pub const THALWEG_PARTITIONS_MAX: u32 = 65_536;
/// The most bytes of a topic's name, without the zero byte.
pub const THALWEG_TOPIC_NAME_MAX: u32 = 249;
/// The most bytes of a consumer's name, without the zero byte.
pub const THALWEG_CONSUMER_NAME_MAX: u32 = 249;
/// The most bytes that are kept with a position.
pub const THALWEG_POSITION_METADATA_MAX: u32 = 4_096;
/// The most bytes of the key of a key-value.
pub const THALWEG_KEY_VALUE_KEY_MAX: u32 = 1_024;
/// The most bytes of the value of a key-value.
pub const THALWEG_KEY_VALUE_VALUE_MAX: u32 = 1_048_576;
/// The most changes of thalweg_key_values_write.
pub const THALWEG_KEY_VALUE_WRITES_MAX: u32 = 1_024;

#[cfg(test)]
mod tests {
    use thalweg::limits;

    use super::*;

    #[test]
    fn they_are_those_of_the_engine() {
        let pairs = [
            (THALWEG_RECORD_MAX, limits::RECORD_MAX),
            (THALWEG_KEY_MAX, limits::KEY_MAX),
            (THALWEG_HEADERS_MAX, limits::HEADERS_MAX),
            (THALWEG_HEADER_NAME_MAX, limits::HEADER_NAME_MAX),
            (THALWEG_BATCH_RECORDS_MAX, limits::BATCH_RECORDS_MAX),
            (THALWEG_PARTITIONS_MAX, limits::PARTITIONS_MAX as usize),
            (THALWEG_TOPIC_NAME_MAX, limits::TOPIC_NAME_MAX),
            (THALWEG_CONSUMER_NAME_MAX, limits::CONSUMER_NAME_MAX),
            (THALWEG_POSITION_METADATA_MAX, limits::POSITION_METADATA_MAX),
            (THALWEG_KEY_VALUE_KEY_MAX, limits::KEY_VALUE_KEY_MAX),
            (THALWEG_KEY_VALUE_VALUE_MAX, limits::KEY_VALUE_VALUE_MAX),
            (THALWEG_KEY_VALUE_WRITES_MAX, limits::KEY_VALUE_BATCH_MAX),
        ];
        for (told, held) in pairs {
            assert_eq!(told as usize, held);
        }
    }
}
