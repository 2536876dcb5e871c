/*
 * Thalweg: an embedded stream storage engine. Topics of partitioned, append-only, durable logs, with consumers, inside
 * your program. This is its C interface; thalweg.hpp beside it wraps it for C++17. docs/ABI.md says more,
 * docs/GLOSSARY.md what the words mean, docs/METRICS.md what is counted; share/doc/thalweg has them where the library is
 * installed, and examples.
 *
 * Made by cbindgen from the sources of the library: do not edit. `make header` makes it anew.
 *
 * CONVENTIONS
 *
 * Answers.  A call that can fail answers a thalweg_status: THALWEG_OK (0), or why it did nothing. Comments name the
 * statuses without their prefix. The numbers never change their meaning, and more may come.
 *
 * Errors.  The last argument of such a call is a thalweg_error of the caller, or NULL. On failure it gets the status,
 * the operating system's error number, the offsets that are damaged, and a sentence to show. Nothing is kept by the
 * library, and nothing by thread. Prepare it once with thalweg_error_init; a call that succeeds leaves it as it is.
 *
 *     thalweg_error error;
 *     thalweg_error_init(&error, sizeof error);
 *     if (thalweg_engine_open("store", NULL, &engine, &error) != THALWEG_OK)
 *         fprintf(stderr, "%s\n", error.message);
 *
 * Arguments.  Inputs come first, outputs last. Outputs are written only if the call answers OK. What a pointer among the
 * inputs leads to is read during the call and never after it. Pointers have to be aligned as their type asks for.
 *
 * Handles.  A handle (thalweg_engine *, thalweg_topic *, ...) is a number in the shape of a pointer: it is not the address
 * of anything. Passing one that is closed answers CLOSED; NULL, one of another kind and one that is made up answer
 * INVALID_ARGUMENT; one that came from before a fork answers FORKED in the child. A number is never used twice. Who opens
 * a handle closes it, once, whatever became of its parent; calls that close or release accept NULL. A call that closes
 * a handle lets calls that other threads are in go on to their end.
 *
 * Threads.  "Any thread" means: any number of them at once. "One thread at a time" means: from any thread, and a call beside
 * another answers WOULD_BLOCK.
 *
 * Blocking.  A call that "does not block" never waits for the device, for memory or for records; it may wait for a moment
 * for another thread that is in the same few instructions. A time-out is in ms: negative is without end.
 *
 * Structs.  One that begins with its own size may grow at its end. Make each ready with its init call, or all zero and
 * size = sizeof. In options zero means the default; what a later version has added must be zero for an earlier library,
 * else the answer is UNSUPPORTED. Structs without a size, and entries of arrays, never change and have no init call: all
 * zeros is one that is ready, and those that are only filled need nothing.
 *
 * Lists.  A call that fills an array writes as many entries as capacity allows, and always tells how many there are; with
 * capacity 0 the array may be NULL.
 *
 * Panics.  A bug inside the library answers PANIC, says more on the standard error output, and shuts the handle for
 * everything but closing.
 *
 * Forks.  In a forked child the memory of batches is not there: do not look at their views. Copy before the fork what the
 * child is to have.
 *
 * The library installs no signal handler and no exit handler, reads no environment variable, and logs nothing. Several
 * engines may be open in one process. THALWEG_VERSION_MAJOR and its like are the version of this header;
 * thalweg_version_number() tells which library is loaded.
 */

#ifndef THALWEG_H
#define THALWEG_H

#include <stddef.h>
#include <stdint.h>

/**
 * Done.
 */
#define THALWEG_OK 0

/**
 * An argument or option is outside its range, NULL where that is not allowed, or a handle of another kind.
 */
#define THALWEG_INVALID_ARGUMENT 1

/**
 * The topic, partition, key or store does not exist.
 */
#define THALWEG_NOT_FOUND 2

/**
 * The name is taken.
 */
#define THALWEG_ALREADY_EXISTS 3

/**
 * Another engine, in this or another process, owns the directory; or a consumer of that name is open.
 */
#define THALWEG_ALREADY_OPEN 4

/**
 * Nothing is there, or there is no room, and the call does not wait; nothing happened. Also: another thread is in a
 * call of the same reader or consumer.
 */
#define THALWEG_WOULD_BLOCK 5

/**
 * The time given has passed.
 */
#define THALWEG_TIMED_OUT 6

/**
 * The offset is below the log start offset or above the high watermark.
 */
#define THALWEG_OUT_OF_RANGE 7

/**
 * Acknowledged bytes are damaged. The error names the offsets.
 */
#define THALWEG_CORRUPT 8

/**
 * Written by a later version, or asks for something that this version does not know.
 */
#define THALWEG_UNSUPPORTED 9

/**
 * The operating system refused a read, write or flush.
 */
#define THALWEG_IO 10

/**
 * No space is left on the device, or the quota is used up. THALWEG_EVENT_SPACE_AVAILABLE tells when another try of an
 * append, a commit or a change of key-values may succeed. No event tells of the rest, as of the creation of a topic.
 */
#define THALWEG_NO_SPACE 11

/**
 * The operating system does not permit it.
 */
#define THALWEG_PERMISSION_DENIED 12

/**
 * An earlier write of this partition failed, so it refuses appends until the store is opened again.
 */
#define THALWEG_PARTITION_FAILED 13

/**
 * The engine, or the handle, is closed.
 */
#define THALWEG_CLOSED 14

/**
 * A record, batch, name or list is larger than its limit, or than the buffer for it.
 */
#define THALWEG_TOO_LARGE 15

/**
 * The memory budget, or the system, has no memory for this. A read: release batches that you hold.
 */
#define THALWEG_NO_MEMORY 16

/**
 * The process was forked; the handle belongs to the parent.
 */
#define THALWEG_FORKED 17

/**
 * A bug inside the library. The handle can only be closed.
 */
#define THALWEG_PANIC 18

/**
 * The topic was deleted.
 */
#define THALWEG_DELETED 19

/**
 * The store was opened to be read only, and the call would change it.
 */
#define THALWEG_READ_ONLY 20

/**
 * The next offset of the partition is not the one that a conditional append expects.
 */
#define THALWEG_OFFSET_MISMATCH 21

/**
 * The records of an append were cut off by a truncation since.
 */
#define THALWEG_TRUNCATED 22

/**
 * As a partition in an error: it concerns none, or not one alone.
 */
#define THALWEG_NO_PARTITION 4294967295

/**
 * The version that this header is of.
 */
#define THALWEG_VERSION_MAJOR 0

/**
 * The version that this header is of.
 */
#define THALWEG_VERSION_MINOR 1

/**
 * The version that this header is of.
 */
#define THALWEG_VERSION_PATCH 0

/**
 * The most bytes of a record's key, value and headers together.
 */
#define THALWEG_RECORD_MAX 16777216

/**
 * The most bytes of a key.
 */
#define THALWEG_KEY_MAX 1048576

/**
 * The most headers of a record.
 */
#define THALWEG_HEADERS_MAX 1024

/**
 * The most bytes of a header's name.
 */
#define THALWEG_HEADER_NAME_MAX 1024

/**
 * The most records of a batch.
 */
#define THALWEG_BATCH_RECORDS_MAX 65535

/**
 * The most partitions of a topic.
 */
#define THALWEG_PARTITIONS_MAX 65536

/**
 * The most bytes of a topic's name, without the zero byte.
 */
#define THALWEG_TOPIC_NAME_MAX 249

/**
 * The most bytes of a consumer's name, without the zero byte.
 */
#define THALWEG_CONSUMER_NAME_MAX 249

/**
 * The most bytes that are kept with a position.
 */
#define THALWEG_POSITION_METADATA_MAX 4096

/**
 * The most bytes of the key of a key-value.
 */
#define THALWEG_KEY_VALUE_KEY_MAX 1024

/**
 * The most bytes of the value of a key-value.
 */
#define THALWEG_KEY_VALUE_VALUE_MAX 1048576

/**
 * The most changes of thalweg_key_values_write.
 */
#define THALWEG_KEY_VALUE_WRITES_MAX 1024

/**
 * What moves bytes between memory and files: io_uring where the kernel permits it, else plain system calls.
 */
#define THALWEG_RUNTIME_AUTO 0

/**
 * io_uring, or the open fails.
 */
#define THALWEG_RUNTIME_URING 1

/**
 * Plain system calls on a bounded pool of threads.
 */
#define THALWEG_RUNTIME_POSIX 2

/**
 * What an acknowledged append survives: as the topic says, or the engine for topics, which say THALWEG_DURABLE unless told
 * otherwise.
 */
#define THALWEG_DURABILITY_DEFAULT 0

/**
 * In memory: the kill of the process may take it back.
 */
#define THALWEG_LOSE_ON_KILL 1

/**
 * The device has taken the write: the loss of power may take it back.
 */
#define THALWEG_LOSE_ON_POWER_CUT 2

/**
 * On the medium: nothing takes it back.
 */
#define THALWEG_DURABLE 3

/**
 * Engine option: a directory that holds no store does not become one.
 */
#define THALWEG_ENGINE_NO_CREATE 1

/**
 * Engine option: the store is only read.
 */
#define THALWEG_ENGINE_READ_ONLY 2

/**
 * Engine option: each shard's thread stays on one core.
 */
#define THALWEG_ENGINE_PIN_CORES 4

/**
 * Engine option: a directory that its group or everyone may write is used all the same.
 */
#define THALWEG_ENGINE_TRUST_SHARED_DIRECTORY 8

/**
 * Engine option: a store opens without files of its journal that are missing or cut short, and without the acknowledged
 * records that only they held.
 */
#define THALWEG_ENGINE_GIVE_UP_JOURNAL 16

/**
 * Record flag: timestamp is set. Without it the record has the time at which it is appended.
 */
#define THALWEG_RECORD_TIMESTAMP 1

/**
 * As a partition: the one that the key of the (first) record belongs to, or without a key the next by turns.
 */
#define THALWEG_PARTITION_BY_KEY 4294967295

/**
 * As a partition: the next one, by turns.
 */
#define THALWEG_PARTITION_ROUND_ROBIN 4294967294

/**
 * Append option: expected_offset is set. The batch is appended only if it gets that offset; else OFFSET_MISMATCH.
 */
#define THALWEG_APPEND_EXPECTED_OFFSET 1

/**
 * Append option: term is set. It is kept with the batch.
 */
#define THALWEG_APPEND_TERM 2

/**
 * Append option, of a submit with a queue: if it answers WOULD_BLOCK for want of room, a completion with its token and the
 * status WOULD_BLOCK arrives once another try may succeed. It says that there is room, and nothing of the try: each try
 * that is refused has one of its own, and it may arrive when a later try with the same token has long succeeded. So submit
 * again what you still hold, not what the token once stood for. Not so if the queue is full: take completions.
 */
#define THALWEG_APPEND_NOTIFY 4

/**
 * Entry flag: the record has a key, if an empty one.
 */
#define THALWEG_ENTRY_KEY 1

/**
 * Entry flag: the record has a value, if an empty one.
 */
#define THALWEG_ENTRY_VALUE 2

/**
 * Entry flag: the record's batch was appended with a term; thalweg_batch_term tells it.
 */
#define THALWEG_ENTRY_TERM 4

/**
 * Start at the oldest record that is kept.
 */
#define THALWEG_START_EARLIEST 0

/**
 * Start at the high watermark: what becomes visible from now on.
 */
#define THALWEG_START_LATEST 1

/**
 * Start at the offset that is the value.
 */
#define THALWEG_START_OFFSET 2

/**
 * Start at the first record whose timestamp is the value or later, in ms since 1970; a negative one is passed as it is
 * converted to uint64_t. At the high watermark if there is none.
 */
#define THALWEG_START_TIME 3

/**
 * As THALWEG_START_TIME, by the time at which records were appended.
 */
#define THALWEG_START_APPEND_TIME 4

/**
 * Consumers only: at the position committed under the consumer's name, or without one where its options say.
 */
#define THALWEG_START_COMMITTED 5

/**
 * Where a consumer goes on whose position is out of range: nowhere, polls answer OUT_OF_RANGE until it seeks.
 */
#define THALWEG_OUT_OF_RANGE_ERROR 0

/**
 * At the oldest record that is kept.
 */
#define THALWEG_OUT_OF_RANGE_EARLIEST 1

/**
 * At the high watermark.
 */
#define THALWEG_OUT_OF_RANGE_LATEST 2

/**
 * At the first record with the timestamp out_of_range_time or a later one.
 */
#define THALWEG_OUT_OF_RANGE_TIME 3

/**
 * As a partition: all partitions of the topic.
 */
#define THALWEG_PARTITION_ALL 4294967295

/**
 * As an offset: none was committed.
 */
#define THALWEG_NO_OFFSET 18446744073709551615ull

/**
 * Event: another one, which this version has no number for; the message tells.
 */
#define THALWEG_EVENT_OTHER 0

/**
 * Event: the store was brought to the state from which it goes on. clean: it had been closed cleanly, or is new.
 */
#define THALWEG_EVENT_RECOVERED 1

/**
 * Event: the engine takes calls.
 */
#define THALWEG_EVENT_OPENED 2

/**
 * Event: something slower, but no weaker in what it promises, takes the place of what is not to be had here; the
 * message says what. "no_journal": a file of a shard's journal could not be made, for want of space for instance.
 * Small durable appends for which the rest of the journal has no room then go to their segments, each in a write of
 * its own. It stays so until the store is opened again.
 */
#define THALWEG_EVENT_FALLBACK 3

/**
 * Event: acknowledged records are damaged: topic, partition, start and end.
 */
#define THALWEG_EVENT_DAMAGE 4

/**
 * Event: the operating system refused something: status and os_error.
 */
#define THALWEG_EVENT_IO_ERROR 5

/**
 * Event: the partition refuses appends until the store is opened again: topic, partition, status and os_error.
 */
#define THALWEG_EVENT_PARTITION_FAILED 6

/**
 * Event: no space is left for what is appended: topic, partition, status and os_error. Comes once for all partitions
 * of a shard until THALWEG_EVENT_SPACE_AVAILABLE, and names the first that was refused: others may be refused without
 * an event of their own.
 */
#define THALWEG_EVENT_NO_SPACE 7

/**
 * Event: the program has truncated a partition: topic, partition, start (log start offset) and end (next offset).
 */
#define THALWEG_EVENT_TRUNCATED 8

/**
 * Event: the engine has ended. clean: the next open recovers nothing. The last one.
 */
#define THALWEG_EVENT_CLOSED 9

/**
 * Event: one of two copies of what the store consists of is damaged; the other one is used, and nothing is lost.
 */
#define THALWEG_EVENT_DAMAGED_COPY 10

/**
 * Event: there is space again where THALWEG_EVENT_NO_SPACE told that there was none: topic and partition. It stands
 * for all partitions of the shard: after each of these events try all that were refused. No partition answers for the
 * time before; one that is refused with NO_SPACE again is followed by another pair of events.
 */
#define THALWEG_EVENT_SPACE_AVAILABLE 11

/**
 * Frame kind: one that this version has no number for.
 */
#define THALWEG_FRAME_OTHER 0

/**
 * Frame kind: records.
 */
#define THALWEG_FRAME_DATA 1

/**
 * Frame kind: padding.
 */
#define THALWEG_FRAME_PAD 2

/**
 * Frame kind: offsets without records.
 */
#define THALWEG_FRAME_VOID 3

/**
 * Frame kind: what stands here is damaged, or the device does not give it; why says more.
 */
#define THALWEG_FRAME_DAMAGE 4

/**
 * Frame flag: term is set.
 */
#define THALWEG_FRAME_HAS_TERM 1

/**
 * Records that were read, in order, in memory that is shared with the engine. Release it with thalweg_batch_release.
 */
typedef struct thalweg_batch thalweg_batch;

/**
 * Where appends report that they are acknowledged, of any number of topics and engines. Close it with
 * thalweg_completion_queue_close.
 */
typedef struct thalweg_completion_queue thalweg_completion_queue;

/**
 * Reads any number of topics and partitions as one, in turns, and remembers under a name where it was. One thread at a
 * time. Close it with thalweg_consumer_close.
 */
typedef struct thalweg_consumer thalweg_consumer;

/**
 * A store, opened. Close it with thalweg_engine_close.
 */
typedef struct thalweg_engine thalweg_engine;

/**
 * The events of an engine. Close it with thalweg_events_close.
 */
typedef struct thalweg_events thalweg_events;

/**
 * The key-values of a topic: a few, small, and durable. Close it with thalweg_key_values_close.
 */
typedef struct thalweg_key_values thalweg_key_values;

/**
 * A place in one partition, moving on. One thread at a time. Close it with thalweg_reader_close.
 */
typedef struct thalweg_reader thalweg_reader;

/**
 * A topic to append to and to read from. Close it with thalweg_topic_close.
 */
typedef struct thalweg_topic thalweg_topic;

/**
 * What a call answers: THALWEG_OK, or why it did nothing. The numbers never change their meaning, and more may come: treat
 * one that you do not know as an error.
 */
typedef int32_t thalweg_status;

/**
 * Where a call tells what went wrong: the last argument of each call that can fail, or NULL if nobody asks. It is
 * written only on failure, as far as its size says, and only if that is one: set it with thalweg_error_init, or by hand.
 */
typedef struct thalweg_error {
  /**
   * sizeof(thalweg_error).
   */
  uint32_t size;
  /**
   * What the call answered.
   */
  thalweg_status status;
  /**
   * The operating system's error number (errno) where it reported this, else 0.
   */
  int32_t os_error;
  /**
   * With topic: the partition that the error concerns; THALWEG_NO_PARTITION if it concerns the whole topic, or none.
   */
  uint32_t partition;
  /**
   * Of that partition: the first offset that is damaged or cannot be read.
   */
  uint64_t start;
  /**
   * The offset after the last of them. Equal to start if the error is of another kind.
   */
  uint64_t end;
  /**
   * The topic that the error concerns. Empty if it concerns none, as where an argument is wrong, or the call's own
   * arguments already name it. What a consumer's poll tells of one partition or topic names it, and so does what the
   * device, the end of a log, a truncation or damage does to a partition. Ends with a zero byte.
   */
  char topic[256];
  /**
   * A sentence to show: UTF-8, ends with a zero byte, without its middle where it is longer.
   */
  char message[1024];
} thalweg_error;

/**
 * How an engine is opened. Make it ready with thalweg_engine_options_init; what stays 0 is as by default.
 */
typedef struct thalweg_engine_options {
  /**
   * sizeof(thalweg_engine_options).
   */
  uint32_t size;
  /**
   * THALWEG_ENGINE_NO_CREATE and its like, together.
   */
  uint32_t flags;
  /**
   * THALWEG_RUNTIME_AUTO and its like.
   */
  uint32_t runtime;
  /**
   * THALWEG_DURABLE and its like: of topics that are created without one.
   */
  uint32_t durability;
  /**
   * All memory that grows with load, in bytes: 64 MiB to 1 TiB; 256 MiB by default.
   */
  uint64_t memory_budget;
  /**
   * The largest segment file, in bytes: 64 KiB to 8 GiB; 256 MiB by default.
   */
  uint64_t segment_size;
  /**
   * Threads that write and read the device, 1 to 64; by default one for every four cores, at most 8.
   */
  uint32_t shards;
  /**
   * Segment files that stay open at most, 16 to 1,048,576; by default a quarter of what the process may open, at most
   * 4,096.
   */
  uint32_t open_files;
  /**
   * How long opening waits for another owner to let go of the directory, in ms: at most one hour, 2 s by default.
   * Negative: not at all.
   */
  int64_t lock_timeout_ms;
} thalweg_engine_options;

/**
 * How an engine works. Make it ready with thalweg_info_init before the call.
 */
typedef struct thalweg_info {
  /**
   * sizeof(thalweg_info).
   */
  uint32_t size;
  /**
   * THALWEG_RUNTIME_URING or THALWEG_RUNTIME_POSIX.
   */
  uint32_t runtime;
  /**
   * The store's identity: chosen at random when it was created.
   */
  uint64_t store_id;
  /**
   * All memory that grows with load. Bytes.
   */
  uint64_t memory_budget;
  /**
   * Memory that is registered with io_uring. Bytes.
   */
  uint64_t registered_memory;
  /**
   * What transfers are aligned to. Bytes.
   */
  uint64_t alignment;
  /**
   * Bytes that the store can still grow by; all ones if the file system does not say.
   */
  uint64_t free_space;
  /**
   * Threads that write and read the device.
   */
  uint32_t shards;
  /**
   * Segment files that stay open at most.
   */
  uint32_t open_files;
  /**
   * 1: transfers go past the page cache. 0: through it.
   */
  uint32_t direct_io;
  /**
   * 1: the store is only read.
   */
  uint32_t read_only;
  /**
   * 1: the store had been closed cleanly, or is new.
   */
  uint32_t recovered_clean;
  /**
   * Acknowledged ranges that recovery found missing or damaged: thalweg_engine_list_damaged tells them.
   */
  uint32_t recovered_damaged;
  /**
   * How long it took to make the store ready. ns.
   */
  uint64_t recovery_ns;
  /**
   * Partitions that hold records.
   */
  uint64_t recovered_partitions;
  /**
   * Partitions whose ends were found by reading: they were being written when the process ended.
   */
  uint64_t recovered_tails;
  /**
   * Partitions whose files refused to be made durable.
   */
  uint64_t recovered_unavailable;
  /**
   * Journals in which durable writes cannot be read, or that were given up.
   */
  uint64_t recovered_damaged_journals;
  /**
   * Places of the manifest that cannot be read; the second copy of each was used.
   */
  uint64_t recovered_damaged_copies;
} thalweg_info;

/**
 * Offsets of a partition whose acknowledged data is damaged or cannot be read.
 */
typedef struct thalweg_damaged_range {
  /**
   * The first damaged offset.
   */
  uint64_t start;
  /**
   * The first offset after the damage.
   */
  uint64_t end;
  /**
   * The partition's index.
   */
  uint32_t partition;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * The topic's name. Ends with a zero byte.
   */
  char topic[256];
} thalweg_damaged_range;

/**
 * How a topic is laid out. Make it ready with thalweg_topic_options_init; what stays 0 is as by default.
 */
typedef struct thalweg_topic_options {
  /**
   * sizeof(thalweg_topic_options).
   */
  uint32_t size;
  /**
   * Number of partitions, 1 to 65,536; 1 by default.
   */
  uint32_t partitions;
  /**
   * THALWEG_DURABLE and its like; by default what the engine was opened with.
   */
  uint32_t durability;
  /**
   * 0.
   */
  uint32_t reserved;
} thalweg_topic_options;

/**
 * A topic as it is now.
 */
typedef struct thalweg_topic_info {
  /**
   * Its number; never used again in this store.
   */
  uint32_t id;
  /**
   * Its partitions.
   */
  uint32_t partitions;
  /**
   * THALWEG_DURABLE and its like: when its appends are acknowledged and become visible.
   */
  uint32_t durability;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * Its name. Ends with a zero byte.
   */
  char name[256];
} thalweg_topic_info;

/**
 * A partition as it is now.
 */
typedef struct thalweg_partition_info {
  /**
   * The offset of the oldest record that is kept.
   */
  uint64_t log_start;
  /**
   * The offset after the last record that readers see.
   */
  uint64_t high_watermark;
  /**
   * Bytes of its frames, padding counted. Its files are larger: they have a header, an index, and space for what
   * comes.
   */
  uint64_t stored_size;
  /**
   * Its index.
   */
  uint32_t partition;
  /**
   * Segment files. 0 until the first append.
   */
  uint32_t segments;
  /**
   * Damaged ranges that recovery found: thalweg_engine_list_damaged tells them.
   */
  uint32_t damaged;
  /**
   * 1: it takes no appends until the store is opened again; why says the reason.
   */
  uint32_t failed;
  /**
   * The reason, or empty. Ends with a zero byte.
   */
  char why[256];
} thalweg_partition_info;

/**
 * What became of one record of thalweg_topic_append_split.
 */
typedef struct thalweg_record_result {
  /**
   * Its offset, if status is OK; else 0.
   */
  uint64_t offset;
  /**
   * The partition's index.
   */
  uint32_t partition;
  /**
   * THALWEG_OK: it is acknowledged. Else why it is not.
   */
  thalweg_status status;
  /**
   * What thalweg_topic_failure knows it by, if it has failed; else 0.
   */
  uint64_t failure;
} thalweg_record_result;

/**
 * What was left of damaged positions or key-values. Make it ready with thalweg_repaired_init before the call.
 */
typedef struct thalweg_repaired {
  /**
   * sizeof(thalweg_repaired).
   */
  uint32_t size;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * Entries that are there now.
   */
  uint64_t kept;
  /**
   * How many of them may be older than what was acknowledged last, or may have been deleted since.
   */
  uint64_t uncertain;
  /**
   * Changes that were lost; all ones if nobody knows how many.
   */
  uint64_t lost;
} thalweg_repaired;

/**
 * How an append behaves. Make it ready with thalweg_append_options_init; what stays 0 is as by default.
 */
typedef struct thalweg_append_options {
  /**
   * sizeof(thalweg_append_options).
   */
  uint32_t size;
  /**
   * THALWEG_APPEND_EXPECTED_OFFSET and its like, together.
   */
  uint32_t flags;
  /**
   * THALWEG_DURABLE and its like: when the append is acknowledged; by default as its topic says.
   */
  uint32_t durability;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * The offset that the batch has to get, if flags say so.
   */
  uint64_t expected_offset;
  /**
   * A number that is kept with the batch, if flags say so: the term of a consensus protocol.
   */
  uint64_t term;
} thalweg_append_options;

/**
 * Bytes of the caller, or of a batch. data NULL means that there are none, which is not the same as empty ones (size 0).
 */
typedef struct thalweg_bytes {
  /**
   * The first byte, or NULL.
   */
  const void *data;
  /**
   * How many.
   */
  size_t size;
} thalweg_bytes;

/**
 * A header of a record: a name and bytes, or none (data NULL).
 */
typedef struct thalweg_header {
  /**
   * UTF-8, up to 1,024 bytes.
   */
  struct thalweg_bytes name;
  /**
   * The content.
   */
  struct thalweg_bytes value;
} thalweg_header;

/**
 * A record to append. All zeros is a record without key, value and headers. What it points to is copied during the call.
 */
typedef struct thalweg_record {
  /**
   * Chooses the partition, and names what the record is about: up to 1 MiB. data NULL: no key.
   */
  struct thalweg_bytes key;
  /**
   * The content: key, value and headers together up to 16 MiB. data NULL: no value, which with a key is a tombstone.
   */
  struct thalweg_bytes value;
  /**
   * Headers, kept in this order; names may repeat. NULL if there are none.
   */
  const struct thalweg_header *headers;
  /**
   * How many, up to 1,024.
   */
  size_t header_count;
  /**
   * When it happened, in ms since 1970, if flags say so.
   */
  int64_t timestamp;
  /**
   * THALWEG_RECORD_TIMESTAMP, or 0.
   */
  uint32_t flags;
  /**
   * 0.
   */
  uint32_t reserved;
} thalweg_record;

/**
 * Where a batch stands.
 */
typedef struct thalweg_appended {
  /**
   * The offset of the first record. The others follow without a gap.
   */
  uint64_t base_offset;
  /**
   * The partition's index.
   */
  uint32_t partition;
  /**
   * The number of records.
   */
  uint32_t count;
} thalweg_appended;

/**
 * One append that is over.
 */
typedef struct thalweg_completion {
  /**
   * What the caller passed to the submit.
   */
  uint64_t token;
  /**
   * The offset of the first record, if status is OK; else 0.
   */
  uint64_t base_offset;
  /**
   * The partition's index, if status is OK; else 0.
   */
  uint32_t partition;
  /**
   * The number of records, if status is OK; else 0.
   */
  uint32_t count;
  /**
   * THALWEG_OK: the batch is acknowledged. WOULD_BLOCK: nothing was appended, and another try may succeed now
   * (THALWEG_APPEND_NOTIFY). Else why it is not acknowledged: IO, NO_SPACE or PARTITION_FAILED by the device, TRUNCATED,
   * DELETED or CLOSED by a call of yours, FORKED. After those of the device the records may be there all the same: the
   * next open decides, so that whoever appends them again may have them twice.
   */
  thalweg_status status;
  /**
   * The operating system's error number where it reported this, else 0.
   */
  int32_t os_error;
  /**
   * What thalweg_completion_queue_failure knows it by, if the append has failed; else 0.
   */
  uint64_t failure;
} thalweg_completion;

/**
 * Where a record is in the memory of its batch. Positions are bytes from its beginning.
 */
typedef struct thalweg_entry {
  /**
   * The record's offset in its partition. Offsets grow, and may skip, where an append was given up or records are
   * damaged. So take the next from next_offset, not from a count.
   */
  uint64_t offset;
  /**
   * The time it was given, or else at which it was appended, in ms since 1970.
   */
  int64_t timestamp;
  /**
   * Where its key begins.
   */
  uint32_t key_position;
  /**
   * Bytes of its key.
   */
  uint32_t key_size;
  /**
   * Where its value begins.
   */
  uint32_t value_position;
  /**
   * Bytes of its value.
   */
  uint32_t value_size;
  /**
   * Where its first header begins: a u16 with the size of its name, a u32 with the size of its value (all ones: none),
   * both little-endian, the name and the value; the next one follows. thalweg_batch_header reads them, too.
   */
  uint32_t headers_position;
  /**
   * How many headers.
   */
  uint16_t header_count;
  /**
   * THALWEG_ENTRY_KEY and its like, together.
   */
  uint16_t flags;
} thalweg_entry;

/**
 * What a batch has. Everything that it points to is readable until the batch is released.
 */
typedef struct thalweg_batch_view {
  /**
   * The memory that the records are in; NULL if there are none.
   */
  const uint8_t *data;
  /**
   * Bytes of it.
   */
  size_t data_size;
  /**
   * The records, by offset; NULL if there are none.
   */
  const struct thalweg_entry *entries;
  /**
   * How many.
   */
  size_t count;
  /**
   * Where to read on: behind the last record.
   */
  uint64_t next_offset;
  /**
   * The topic's name, ends with a zero byte. Empty for a list of key-values.
   */
  const char *topic;
  /**
   * The topic's number.
   */
  uint32_t topic_id;
  /**
   * The partition's index.
   */
  uint32_t partition;
} thalweg_batch_view;

/**
 * How a consumer begins. Make it ready with thalweg_consumer_options_init; what stays 0 is as by default.
 */
typedef struct thalweg_consumer_options {
  /**
   * sizeof(thalweg_consumer_options).
   */
  uint32_t size;
  /**
   * Where partitions begin of which the name has no position: THALWEG_START_EARLIEST and its like, but
   * THALWEG_START_OFFSET and THALWEG_START_COMMITTED.
   */
  uint32_t start;
  /**
   * The time of a start by time, in ms since 1970.
   */
  int64_t start_time;
  /**
   * THALWEG_OUT_OF_RANGE_ERROR and its like.
   */
  uint32_t out_of_range;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * In ms since 1970.
   */
  int64_t out_of_range_time;
  /**
   * The name under which positions are committed, and found again: 1 to 249 of A-Z a-z 0-9 . _ - with a zero byte at its
   * end. NULL: nothing can be committed. A name is open once at a time.
   */
  const char *name;
} thalweg_consumer_options;

/**
 * A position to commit.
 */
typedef struct thalweg_position {
  /**
   * The topic.
   */
  struct thalweg_topic *topic;
  /**
   * The offset to go on at: one after the last record that was handled.
   */
  uint64_t offset;
  /**
   * Up to 4,096 bytes that are kept with it, and mean nothing to the engine. data NULL if there are none.
   */
  struct thalweg_bytes metadata;
  /**
   * The partition's index.
   */
  uint32_t partition;
  /**
   * 0.
   */
  uint32_t reserved;
} thalweg_position;

/**
 * Where a consumer is in a partition.
 */
typedef struct thalweg_consumer_position {
  /**
   * The offset that is read next.
   */
  uint64_t offset;
  /**
   * The offset that is committed under the consumer's name, or THALWEG_NO_OFFSET.
   */
  uint64_t committed;
  /**
   * Offsets from offset, not from committed, to the high watermark: what is still to be read.
   */
  uint64_t lag;
  /**
   * The partition's index.
   */
  uint32_t partition;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * The topic's name. Ends with a zero byte.
   */
  char topic[256];
} thalweg_consumer_position;

/**
 * A committed position.
 */
typedef struct thalweg_named_position {
  /**
   * The offset at which the consumer goes on.
   */
  uint64_t offset;
  /**
   * The offset after the last record that readers see.
   */
  uint64_t high_watermark;
  /**
   * Offsets from the position to there.
   */
  uint64_t lag;
  /**
   * The partition's index.
   */
  uint32_t partition;
  /**
   * Bytes of what was committed with it; thalweg_position_metadata tells them.
   */
  uint32_t metadata_size;
  /**
   * The consumer's name. Ends with a zero byte.
   */
  char consumer[256];
  /**
   * The topic's name. Ends with a zero byte.
   */
  char topic[256];
} thalweg_named_position;

/**
 * One change of thalweg_key_values_write.
 */
typedef struct thalweg_key_value_write {
  /**
   * 1 to 1,024 bytes.
   */
  struct thalweg_bytes key;
  /**
   * Up to 1 MiB; data NULL: the key loses its value.
   */
  struct thalweg_bytes value;
} thalweg_key_value_write;

/**
 * What an engine counts of itself. Make it ready with thalweg_metrics_init before the call. Counters are since it was opened
 * and only grow; sizes are bytes. What concerns shards, topics, partitions and consumers is in
 * thalweg_engine_metrics_json.
 */
typedef struct thalweg_metrics {
  /**
   * sizeof(thalweg_metrics).
   */
  uint32_t size;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * Since the engine was opened. ns.
   */
  uint64_t open_ns;
  /**
   * Batches that were appended, the engine's own (positions, key-values) among them. By topic, in the metrics' text, they
   * are not.
   */
  uint64_t appends;
  /**
   * Records in them.
   */
  uint64_t appended_records;
  /**
   * Bytes of their keys, values and headers.
   */
  uint64_t appended_bytes;
  /**
   * Batches that were read from blocks being appended to.
   */
  uint64_t reads_from_appenders;
  /**
   * Batches that were read from the cache.
   */
  uint64_t reads_from_cache;
  /**
   * Batches that were read from the device.
   */
  uint64_t reads_from_device;
  /**
   * Bytes of all these batches.
   */
  uint64_t read_bytes;
  /**
   * Written to the journal.
   */
  uint64_t written_journal;
  /**
   * Written to segments, straight from the appenders' memory.
   */
  uint64_t written_direct;
  /**
   * Written to segments, after the journal.
   */
  uint64_t written_destaged;
  /**
   * Written to the manifest, and headers and indexes of segments.
   */
  uint64_t written_metadata;
  /**
   * Zeros, written once for each new journal file.
   */
  uint64_t written_journal_files;
  /**
   * Events that nobody took in time.
   */
  uint64_t events_dropped;
  /**
   * The memory budget.
   */
  uint64_t memory_budget;
  /**
   * Of it: staging of the journal, and reads when nothing else is left.
   */
  uint64_t memory_reserve;
  /**
   * Of it: appended to, or waiting to be written.
   */
  uint64_t memory_appenders;
  /**
   * Of it: on the device too, and dropped when others need the memory.
   */
  uint64_t memory_cache;
  /**
   * Of it: pinned by batches that are held.
   */
  uint64_t memory_pins;
  /**
   * The most that batches which are held can pin.
   */
  uint64_t memory_pins_limit;
  /**
   * Of it: kept for the next use.
   */
  uint64_t memory_idle;
  /**
   * Beside it: small batches that were copied for readers.
   */
  uint64_t memory_copies;
  /**
   * Beside it: indexes of sealed segments.
   */
  uint64_t memory_indexes;
  /**
   * Beside it: entries of batches that are held.
   */
  uint64_t memory_entries;
  /**
   * Beyond this, reads answer NO_MEMORY until batches are released.
   */
  uint64_t memory_entries_limit;
} thalweg_metrics;

/**
 * Something that happened in an engine. Make it ready with thalweg_event_init before the call. What does not belong to the
 * kind is 0 or empty.
 */
typedef struct thalweg_event {
  /**
   * sizeof(thalweg_event).
   */
  uint32_t size;
  /**
   * THALWEG_EVENT_OPENED and its like.
   */
  uint32_t kind;
  /**
   * When, in ms since 1970.
   */
  int64_t time;
  /**
   * An offset.
   */
  uint64_t start;
  /**
   * An offset.
   */
  uint64_t end;
  /**
   * With topic: the partition's index.
   */
  uint32_t partition;
  /**
   * 1: clean.
   */
  uint32_t clean;
  /**
   * Why something was refused; THALWEG_OK if nothing was.
   */
  thalweg_status status;
  /**
   * The operating system's error number.
   */
  int32_t os_error;
  /**
   * The topic's name. Ends with a zero byte.
   */
  char topic[256];
  /**
   * A sentence to show: UTF-8, ends with a zero byte, cut where it is longer.
   */
  char message[1024];
} thalweg_event;

/**
 * What verification found. Make it ready with thalweg_verify_report_init before the call.
 */
typedef struct thalweg_verify_report {
  /**
   * sizeof(thalweg_verify_report).
   */
  uint32_t size;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * Topics looked at.
   */
  uint64_t topics;
  /**
   * Partitions that hold records.
   */
  uint64_t partitions;
  /**
   * Segments read.
   */
  uint64_t segments;
  /**
   * Batches that are whole.
   */
  uint64_t batches;
  /**
   * Records in them.
   */
  uint64_t records;
  /**
   * Bytes of everything that is whole, padding counted.
   */
  uint64_t bytes;
  /**
   * Ranges of offsets that are damaged, or that the device refused to give.
   */
  uint64_t damaged;
  /**
   * Partitions that the device did not let be read to their end when the store was opened.
   */
  uint64_t unavailable;
  /**
   * Headers and footers of segments that are damaged. No record is lost by that: it is a copy less of what they say.
   */
  uint64_t damaged_copies;
} thalweg_verify_report;

/**
 * A frame as it stands in its segment.
 */
typedef struct thalweg_frame {
  /**
   * The segment's generation.
   */
  uint64_t generation;
  /**
   * Byte of the file where it begins.
   */
  uint64_t position;
  /**
   * Its bytes, header and padding counted.
   */
  uint64_t size;
  /**
   * The offset of its first record.
   */
  uint64_t base_offset;
  /**
   * Offsets that it takes.
   */
  uint64_t count;
  /**
   * When it was appended, in ms since 1970.
   */
  int64_t append_time;
  /**
   * The term that its batch was given, if flags say so.
   */
  uint64_t term;
  /**
   * The offset below which the partition was durable when it was written, or THALWEG_NO_OFFSET if it does not say.
   */
  uint64_t durable;
  /**
   * The segment's number within its partition.
   */
  uint32_t segment;
  /**
   * THALWEG_FRAME_DATA and its like.
   */
  uint32_t kind;
  /**
   * THALWEG_FRAME_HAS_TERM, or 0.
   */
  uint32_t flags;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * What is wrong with it, or empty. Ends with a zero byte.
   */
  char why[256];
} thalweg_frame;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The name of a status without its prefix, such as "NOT_FOUND"; "UNKNOWN" for one that this version does not know.
 * Static, ends with a zero byte.
 *
 * Does not block. Any thread. Since 0.1.
 */
const char *thalweg_status_name(thalweg_status status);

/**
 * A few words on what a status means. Static, ends with a zero byte.
 *
 * Does not block. Any thread. Since 0.1.
 */
const char *thalweg_status_text(thalweg_status status);

/**
 * Makes an error ready for use. size is sizeof(thalweg_error). NULL is allowed.
 *
 * Does not block. Any thread. Since 0.1.
 */
void thalweg_error_init(struct thalweg_error *error, size_t size);

/**
 * The version of the library that is loaded: major * 1000000 + minor * 1000 + patch.
 *
 * Does not block. Any thread. Since 0.1.
 */
uint32_t thalweg_version_number(void);

/**
 * The version of the library that is loaded, such as "0.1.0". Static, ends with a zero byte.
 *
 * Does not block. Any thread. Since 0.1.
 */
const char *thalweg_version(void);

/**
 * How the library that is loaded was built: one line to show in a bug report. Static, ends with a zero byte.
 *
 * Does not block. Any thread. Since 0.1.
 */
const char *thalweg_build_info(void);

/**
 * The murmur2 hash of a key, exactly as Kafka's Java client computes it: what chooses the partition of a key. NULL is
 * allowed with size 0.
 *
 * Does not block. Any thread. Since 0.1.
 */
int32_t thalweg_murmur2(const void *key, size_t key_size);

/**
 * Makes options ready: all as by default. size is sizeof(thalweg_engine_options). NULL is allowed.
 *
 * Does not block. Any thread. Since 0.1.
 */
void thalweg_engine_options_init(struct thalweg_engine_options *options, size_t size);

/**
 * Opens the store in a directory, or makes one there. Recovers what a process that was killed, or a machine that lost
 * power, has left.
 *
 * path: of the directory, ends with a zero byte. options: NULL for the defaults. engine: gets the handle, which is yours
 * to close with thalweg_engine_close. Several engines may be open in one process, each on a directory of its own.
 *
 * Blocks: recovery reads the device. Any thread. Errors: INVALID_ARGUMENT for an option outside its range; UNSUPPORTED
 * for options of a later version, a store of a later version, or a runtime that this system lacks; ALREADY_OPEN with the
 * holder's process number where it is known; NOT_FOUND if there is no store and none is to be made; PERMISSION_DENIED;
 * CORRUPT if the manifest cannot be read or a file of the journal is missing; NO_SPACE; IO. Since 0.1.
 */
thalweg_status thalweg_engine_open(const char *path,
                                   const struct thalweg_engine_options *options,
                                   struct thalweg_engine **engine,
                                   struct thalweg_error *error);

/**
 * Makes everything that was appended durable, ends the engine's threads, marks the store as cleanly closed, and closes
 * the handle, whatever the answer but INVALID_ARGUMENT, CLOSED and FORKED. Other handles of the engine stay handles: calls
 * on them answer CLOSED, those that are waiting too, and each is still to be closed, in any order. Batches stay readable;
 * completions of what was under way arrive. NULL is allowed.
 *
 * Blocks: waits for the device. Any thread, also while others are in calls. Errors: CLOSED if it is closed already;
 * PARTITION_FAILED, IO, NO_SPACE if something could not be written: nothing acknowledged is lost by that, and the next
 * open recovers. Since 0.1.
 */
thalweg_status thalweg_engine_close(struct thalweg_engine *engine,
                                    struct thalweg_error *error);

/**
 * Makes information ready to be filled. size is sizeof(thalweg_info). NULL is allowed.
 *
 * Does not block. Any thread. Since 0.1.
 */
void thalweg_info_init(struct thalweg_info *info, size_t size);

/**
 * How an engine works: info gets it.
 *
 * Blocks: asks the file system for its free space. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_engine_info(struct thalweg_engine *engine,
                                   struct thalweg_info *info,
                                   struct thalweg_error *error);

/**
 * Why an engine works as it does: lines to show, such as "runtime: posix (io_uring is forbidden here)". Written to
 * buffer, cut to capacity, with a zero byte at its end; size gets how long all of it is, without that byte. With NULL and
 * capacity 0 only size is told.
 *
 * Blocks: asks the file system for its free space. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_engine_info_text(struct thalweg_engine *engine,
                                        char *buffer,
                                        size_t capacity,
                                        size_t *size,
                                        struct thalweg_error *error);

/**
 * Acknowledged offsets that recovery found missing or damaged when the engine was opened. ranges gets as many as
 * capacity allows, count how many there are.
 *
 * Blocks: asks the file system for its free space. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_engine_list_damaged(struct thalweg_engine *engine,
                                           struct thalweg_damaged_range *ranges,
                                           size_t capacity,
                                           size_t *count,
                                           struct thalweg_error *error);

/**
 * Makes options ready: all as by default. size is sizeof(thalweg_topic_options). NULL is allowed.
 *
 * Does not block. Any thread. Since 0.1.
 */
void thalweg_topic_options_init(struct thalweg_topic_options *options, size_t size);

/**
 * Creates a topic. Durable when it returns.
 *
 * name: 1 to 249 of A-Z a-z 0-9 . _ - and not . or .., ends with a zero byte. options: NULL for the defaults. topic: gets
 * the handle, which is yours to close with thalweg_topic_close; NULL if you do not need one.
 *
 * Blocks: waits for the device. Any thread. Errors: ALREADY_EXISTS; INVALID_ARGUMENT for a name or an option outside its
 * range; UNSUPPORTED for options of a later version; READ_ONLY; NO_SPACE, IO; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_topic_create(struct thalweg_engine *engine,
                                    const char *name,
                                    const struct thalweg_topic_options *options,
                                    struct thalweg_topic **topic,
                                    struct thalweg_error *error);

/**
 * The topic of a name. topic: gets a handle, which is yours to close with thalweg_topic_close.
 *
 * Blocks only while another thread creates or deletes a topic. Any thread. Errors: NOT_FOUND; INVALID_ARGUMENT; CLOSED,
 * FORKED. Since 0.1.
 */
thalweg_status thalweg_topic_open(struct thalweg_engine *engine,
                                  const char *name,
                                  struct thalweg_topic **topic,
                                  struct thalweg_error *error);

/**
 * Closes the handle. The topic and its records stay; readers, consumers and batches of it go on. NULL is allowed.
 *
 * Does not block. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_topic_close(struct thalweg_topic *topic, struct thalweg_error *error);

/**
 * Deletes the topic of a name, and its records. Durable when it returns. Handles of it answer DELETED from then on;
 * batches stay readable.
 *
 * Blocks: waits for the device. Any thread. Errors: NOT_FOUND; READ_ONLY; INVALID_ARGUMENT; NO_SPACE, IO, after which
 * the next open tells whether it is gone; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_topic_delete(struct thalweg_engine *engine, const char *name, struct thalweg_error *error);

/**
 * All topics, by name. topics gets as many as capacity allows, count how many there are.
 *
 * Blocks only while another thread creates or deletes a topic. Any thread. Errors: INVALID_ARGUMENT; CLOSED, FORKED.
 * Since 0.1.
 */
thalweg_status thalweg_topic_list(struct thalweg_engine *engine,
                                  struct thalweg_topic_info *topics,
                                  size_t capacity,
                                  size_t *count,
                                  struct thalweg_error *error);

/**
 * What a topic looks like now: info gets it.
 *
 * Does not block. Any thread. Errors: INVALID_ARGUMENT; DELETED; NO_MEMORY; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_topic_describe(struct thalweg_topic *topic,
                                      struct thalweg_topic_info *info,
                                      struct thalweg_error *error);

/**
 * The partitions of a topic, from the index first on. partitions gets as many as capacity allows, count how many there
 * are from there on.
 *
 * Does not block. Any thread. Errors: INVALID_ARGUMENT; DELETED; NO_MEMORY; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_topic_list_partitions(struct thalweg_topic *topic,
                                             uint32_t first,
                                             struct thalweg_partition_info *partitions,
                                             size_t capacity,
                                             size_t *count,
                                             struct thalweg_error *error);

/**
 * Why a part of thalweg_topic_append_split failed: what a call that fails tells in its error. The last 1,024 failures of
 * a handle are kept.
 *
 * result: as it was told by a split of this handle. why: made ready with thalweg_error_init; gets the status, the operating
 * system's error number, the offsets that are damaged, and a sentence.
 *
 * Does not block. Any thread. Errors: NOT_FOUND if the part has not failed, or the failure is not kept any more;
 * INVALID_ARGUMENT, also for a why that is not ready; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_topic_failure(struct thalweg_topic *topic,
                                     const struct thalweg_record_result *result,
                                     struct thalweg_error *why,
                                     struct thalweg_error *error);

/**
 * The damaged offsets that recovery found in a partition. ranges gets as many as capacity allows, count how many there
 * are.
 *
 * Does not block. Any thread. Errors: NOT_FOUND for a partition that the topic does not have; INVALID_ARGUMENT; DELETED;
 * NO_MEMORY; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_topic_list_damaged(struct thalweg_topic *topic,
                                          uint32_t partition,
                                          struct thalweg_damaged_range *ranges,
                                          size_t capacity,
                                          size_t *count,
                                          struct thalweg_error *error);

/**
 * Raises the number of partitions to total, at most 65,536. Keys may belong to other partitions from then on. Durable
 * when it returns.
 *
 * Blocks: waits for the device. Any thread. Errors: INVALID_ARGUMENT if total is not more than now, or beyond the limit;
 * READ_ONLY; NO_SPACE, IO; DELETED; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_topic_add_partitions(struct thalweg_topic *topic,
                                            uint32_t total,
                                            struct thalweg_error *error);

/**
 * The partition that a key belongs to: murmur2, exactly as Kafka's Java client. partition: gets its index.
 *
 * Does not block. Any thread. Errors: TOO_LARGE for a key beyond 1 MiB; INVALID_ARGUMENT; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_topic_partition_of(struct thalweg_topic *topic,
                                          const void *key,
                                          size_t key_size,
                                          uint32_t *partition,
                                          struct thalweg_error *error);

/**
 * The offset that the next append to a partition gets: beyond the high watermark while appends are under way, and old as
 * soon as it is told where others append too.
 *
 * Does not block. Any thread. Errors: NOT_FOUND for a partition that the topic does not have; INVALID_ARGUMENT; DELETED;
 * CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_topic_next_offset(struct thalweg_topic *topic,
                                         uint32_t partition,
                                         uint64_t *offset,
                                         struct thalweg_error *error);

/**
 * Removes the records below offset: it becomes the log start offset. Durable when it returns. Batches that are held stay
 * as they are. Beyond the next offset it removes everything, and offset is the next one from then on: for good, since
 * offsets never fall by this. At or below the log start it does nothing.
 *
 * Blocks: waits for the device. Any thread. Errors: NOT_FOUND for a partition that the topic does not have;
 * INVALID_ARGUMENT beyond 2^64 - 2^32 - 1, the highest offset that a log may begin at; PARTITION_FAILED; READ_ONLY; NO_SPACE, IO; DELETED;
 * CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_topic_truncate_before(struct thalweg_topic *topic,
                                             uint32_t partition,
                                             uint64_t offset,
                                             struct thalweg_error *error);

/**
 * Cuts off the records at offset and beyond: it becomes the next offset. Durable when it returns. Appends meanwhile wait.
 * Batches that are held stay as they are.
 *
 * Blocks: waits for the device. Any thread. Errors: OUT_OF_RANGE below the log start offset or beyond the next offset;
 * INVALID_ARGUMENT in the middle of a batch as it was appended, whose bounds it names; NOT_FOUND for a partition that the
 * topic does not have; CORRUPT, PARTITION_FAILED; READ_ONLY; NO_SPACE, IO; DELETED; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_topic_truncate_after(struct thalweg_topic *topic,
                                            uint32_t partition,
                                            uint64_t offset,
                                            struct thalweg_error *error);

/**
 * Makes the struct ready to be filled. size is sizeof(thalweg_repaired). NULL is allowed.
 *
 * Does not block. Any thread. Since 0.1.
 */
void thalweg_repaired_init(struct thalweg_repaired *repaired, size_t size);

/**
 * Where damage on the device keeps the positions of all consumers from being read (CORRUPT): goes on with those that can
 * be read. What is lost leaves the position before it, so that a consumer may read records again. Durable when it returns,
 * all or nothing. Without damage it only rewrites the log. repaired: gets what was left.
 *
 * Blocks: reads and writes the device. Any thread. Errors: those of thalweg_topic_append; INVALID_ARGUMENT; CLOSED,
 * FORKED. Since 0.1.
 */
thalweg_status thalweg_position_repair(struct thalweg_engine *engine,
                                       struct thalweg_repaired *repaired,
                                       struct thalweg_error *error);

/**
 * As thalweg_position_repair, for the key-values of all topics.
 *
 * Blocks: reads and writes the device. Any thread. Errors: as thalweg_position_repair. Since 0.1.
 */
thalweg_status thalweg_key_values_repair(struct thalweg_engine *engine,
                                         struct thalweg_repaired *repaired,
                                         struct thalweg_error *error);

/**
 * Makes options ready: all as by default. size is sizeof(thalweg_append_options). NULL is allowed.
 *
 * Does not block. Any thread. Since 0.1.
 */
void thalweg_append_options_init(struct thalweg_append_options *options, size_t size);

/**
 * Appends one record, and returns as soon as it is in memory and has its offset. The acknowledgement arrives in the
 * queue.
 *
 * partition: its index, THALWEG_PARTITION_BY_KEY or THALWEG_PARTITION_ROUND_ROBIN. record: copied during the call.
 * options: NULL for the defaults. queue and token: a completion with this token arrives there, once, unless the call
 * fails; NULL if nobody wants to know. appended: gets where the record stands, by which nothing is promised; NULL if you
 * do not need it.
 *
 * Does not block. Any thread. Errors: WOULD_BLOCK if the appenders' part of the memory is used up, the device is behind
 * with preparing files, or the queue is full: try again after the next completion, and with THALWEG_APPEND_NOTIFY there is
 * one; NO_MEMORY if the system has none; TOO_LARGE beyond a limit; INVALID_ARGUMENT; NOT_FOUND for a partition that the
 * topic does not have; OFFSET_MISMATCH; NO_SPACE, after which a later append may succeed; PARTITION_FAILED, CORRUPT for a
 * partition that takes no appends; READ_ONLY; DELETED; CLOSED, FORKED. After each of them nothing was appended. The first
 * submit to a partition after each open is refused with WOULD_BLOCK while its first segment is made. After NO_SPACE no
 * completion comes, also with THALWEG_APPEND_NOTIFY: THALWEG_EVENT_SPACE_AVAILABLE tells when to try again. Since 0.1.
 */
thalweg_status thalweg_topic_submit(struct thalweg_topic *topic,
                                    uint32_t partition,
                                    const struct thalweg_record *record,
                                    const struct thalweg_append_options *options,
                                    struct thalweg_completion_queue *queue,
                                    uint64_t token,
                                    struct thalweg_appended *appended,
                                    struct thalweg_error *error);

/**
 * As thalweg_topic_submit, but count records as one batch, which is there whole or not at all: 1 to 65,535, 20 MiB
 * together.
 *
 * Does not block. Any thread. Errors: as thalweg_topic_submit. Since 0.1.
 */
thalweg_status thalweg_topic_submit_batch(struct thalweg_topic *topic,
                                          uint32_t partition,
                                          const struct thalweg_record *records,
                                          size_t count,
                                          const struct thalweg_append_options *options,
                                          struct thalweg_completion_queue *queue,
                                          uint64_t token,
                                          struct thalweg_appended *appended,
                                          struct thalweg_error *error);

/**
 * As thalweg_topic_submit, but the record's value is put together from parts, part_count pieces of memory; the record
 * itself has none.
 *
 * Does not block. Any thread. Errors: as thalweg_topic_submit. Since 0.1.
 */
thalweg_status thalweg_topic_submit_parts(struct thalweg_topic *topic,
                                          uint32_t partition,
                                          const struct thalweg_record *record,
                                          const struct thalweg_bytes *parts,
                                          size_t part_count,
                                          const struct thalweg_append_options *options,
                                          struct thalweg_completion_queue *queue,
                                          uint64_t token,
                                          struct thalweg_appended *appended,
                                          struct thalweg_error *error);

/**
 * Appends one record, and returns when it is as durable as its topic or the options ask for.
 *
 * timeout_ms: negative is without end. The other arguments are those of thalweg_topic_submit.
 *
 * Blocks: waits for the device. Any thread. Errors: as thalweg_topic_submit, but WOULD_BLOCK only if there was no room
 * within the time; TIMED_OUT if the record was appended and is not acknowledged yet: it may still become durable, and
 * a second try may append it twice. With timeout_ms 0 that is what an append answers for which there is room: it is
 * made, and not waited for. IO, NO_SPACE, PARTITION_FAILED also if the device refuses this very record: it is not
 * acknowledged, and the next open decides. Since 0.1.
 */
thalweg_status thalweg_topic_append(struct thalweg_topic *topic,
                                    uint32_t partition,
                                    const struct thalweg_record *record,
                                    const struct thalweg_append_options *options,
                                    int64_t timeout_ms,
                                    struct thalweg_appended *appended,
                                    struct thalweg_error *error);

/**
 * As thalweg_topic_append, but count records as one batch.
 *
 * Blocks: waits for the device. Any thread. Errors: as thalweg_topic_append. Since 0.1.
 */
thalweg_status thalweg_topic_append_batch(struct thalweg_topic *topic,
                                          uint32_t partition,
                                          const struct thalweg_record *records,
                                          size_t count,
                                          const struct thalweg_append_options *options,
                                          int64_t timeout_ms,
                                          struct thalweg_appended *appended,
                                          struct thalweg_error *error);

/**
 * As thalweg_topic_append, but the record's value is put together from parts, part_count pieces of memory; the record
 * itself has none.
 *
 * Blocks: waits for the device. Any thread. Errors: as thalweg_topic_append. Since 0.1.
 */
thalweg_status thalweg_topic_append_parts(struct thalweg_topic *topic,
                                          uint32_t partition,
                                          const struct thalweg_record *record,
                                          const struct thalweg_bytes *parts,
                                          size_t part_count,
                                          const struct thalweg_append_options *options,
                                          int64_t timeout_ms,
                                          struct thalweg_appended *appended,
                                          struct thalweg_error *error);

/**
 * Divides records by the partitions of their keys, and appends each part as one batch; those without a key go together to
 * the next partition by turns. Returns when all are durable, or have failed.
 *
 * results: gets count entries, one for each record. The call answers OK also if parts have failed: look at each status;
 * thalweg_topic_failure tells more.
 *
 * Blocks: waits for the device, without a time-out. Any thread. Errors: of the call as a whole, before anything was
 * appended: INVALID_ARGUMENT, TOO_LARGE; READ_ONLY; DELETED; CLOSED, FORKED; of each part: as thalweg_topic_append. Since
 * 0.1.
 */
thalweg_status thalweg_topic_append_split(struct thalweg_topic *topic,
                                          const struct thalweg_record *records,
                                          size_t count,
                                          struct thalweg_record_result *results,
                                          struct thalweg_error *error);

/**
 * Opens a queue. capacity: how many appends may be under way or not taken yet: 1 to 16,777,216; 0 is 65,536. queue: gets
 * the handle, which is yours to close with thalweg_completion_queue_close.
 *
 * Does not block. Any thread. Errors: INVALID_ARGUMENT; IO if the process has no descriptor left. Since 0.1.
 */
thalweg_status thalweg_completion_queue_open(size_t capacity,
                                             struct thalweg_completion_queue **queue,
                                             struct thalweg_error *error);

/**
 * Closes a queue. Appends that are under way stay as durable as they would have been; nobody is told. Threads that wait in
 * it go on waiting for them. NULL is allowed.
 *
 * Does not block. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_completion_queue_close(struct thalweg_completion_queue *queue,
                                              struct thalweg_error *error);

/**
 * Takes completions that are there, each once, in no particular order. completions gets up to capacity of them (1 or
 * more), count how many.
 *
 * Does not block. Any thread. Errors: WOULD_BLOCK if there are none; INVALID_ARGUMENT; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_completion_queue_poll(struct thalweg_completion_queue *queue,
                                             struct thalweg_completion *completions,
                                             size_t capacity,
                                             size_t *count,
                                             struct thalweg_error *error);

/**
 * As thalweg_completion_queue_poll, but waits for the first completion. count gets 0 if nothing is under way, so that a
 * loop over it ends.
 *
 * timeout_ms: negative is without end.
 *
 * Blocks. Any thread. Errors: TIMED_OUT; INVALID_ARGUMENT; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_completion_queue_wait(struct thalweg_completion_queue *queue,
                                             struct thalweg_completion *completions,
                                             size_t capacity,
                                             int64_t timeout_ms,
                                             size_t *count,
                                             struct thalweg_error *error);

/**
 * Why an append failed: for a completion, what a call that fails tells in its error. The last 1,024 failures of a queue
 * are kept, whoever has taken their completions.
 *
 * completion: as it was taken from this queue. why: made ready with thalweg_error_init; gets the status, the operating
 * system's error number, the offsets that are damaged, and a sentence.
 *
 * Does not block. Any thread. Errors: NOT_FOUND if the append has not failed, or the failure is not kept any more;
 * INVALID_ARGUMENT, also for a why that is not ready; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_completion_queue_failure(struct thalweg_completion_queue *queue,
                                                const struct thalweg_completion *completion,
                                                struct thalweg_error *why,
                                                struct thalweg_error *error);

/**
 * A descriptor (fd) that is readable exactly while completions are there, for poll, epoll and their like. Do not read from
 * it and do not close it; it lives as long as the queue.
 *
 * Does not block. Any thread. Errors: INVALID_ARGUMENT; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_completion_queue_eventfd(struct thalweg_completion_queue *queue,
                                                int32_t *fd,
                                                struct thalweg_error *error);

/**
 * Appends that will report to a queue and have not, also those that wait for room. count: gets how many.
 *
 * Does not block. Any thread. Errors: INVALID_ARGUMENT; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_completion_queue_under_way(struct thalweg_completion_queue *queue,
                                                  size_t *count,
                                                  struct thalweg_error *error);

/**
 * Releases a batch, once for each owner: whoever got it, and each thalweg_batch_retain. After the last release its memory
 * goes back to the engine. The engine, the topic and the reader may be closed before. NULL is allowed.
 *
 * Does not block. Any thread, in any order. Errors: CLOSED if it was released already; INVALID_ARGUMENT, FORKED. Since
 * 0.1.
 */
thalweg_status thalweg_batch_release(struct thalweg_batch *batch,
                                     struct thalweg_error *error);

/**
 * Gives a batch one more owner, who is to release it, too.
 *
 * Does not block. Any thread. Errors: CLOSED if it was released; INVALID_ARGUMENT, FORKED. Since 0.1.
 */
thalweg_status thalweg_batch_retain(struct thalweg_batch *batch, struct thalweg_error *error);

/**
 * What a batch has, once more: the same as the read that gave it out has told. view: gets it.
 *
 * Does not block. Any thread. Errors: CLOSED if it was released; INVALID_ARGUMENT, FORKED. Since 0.1.
 */
thalweg_status thalweg_batch_get_view(struct thalweg_batch *batch,
                                      struct thalweg_batch_view *view,
                                      struct thalweg_error *error);

/**
 * A header of a record. entry: the record's place in entries, from 0. index: the header's, from 0. header: gets its name
 * and value, which are readable until the batch is released; neither ends with a zero byte.
 *
 * Does not block; takes longer for higher indexes. Any thread. Errors: NOT_FOUND if there is no such record or header;
 * CLOSED if the batch was released; INVALID_ARGUMENT, FORKED. Since 0.1.
 */
thalweg_status thalweg_batch_header(struct thalweg_batch *batch,
                                    size_t entry,
                                    size_t index,
                                    struct thalweg_header *header,
                                    struct thalweg_error *error);

/**
 * When a record was appended, in ms since 1970: never before the one in front of it. entry: the record's place in entries.
 * append_time: gets it. The first call for a batch takes longer.
 *
 * Does not block. Any thread. Errors: NOT_FOUND if there is no such record; CLOSED if the batch was released;
 * INVALID_ARGUMENT, FORKED. Since 0.1.
 */
thalweg_status thalweg_batch_append_time(struct thalweg_batch *batch,
                                         size_t entry,
                                         int64_t *append_time,
                                         struct thalweg_error *error);

/**
 * The term that a record's batch was appended with. entry: the record's place in entries. The first call for a batch takes
 * longer.
 *
 * Does not block. Any thread. Errors: NOT_FOUND if there is no such record, or it has no term; CLOSED if the batch was
 * released; INVALID_ARGUMENT, FORKED. Since 0.1.
 */
thalweg_status thalweg_batch_term(struct thalweg_batch *batch,
                                  size_t entry,
                                  uint64_t *term,
                                  struct thalweg_error *error);

/**
 * Copies records of a batch for whoever wants to keep them without holding it: those from the entry first on of which
 * keys, values and headers fit the buffer. entries gets their places, positions counted in the buffer.
 *
 * buffer and capacity: where the bytes go. entries and entry_capacity: where their places go. count: gets how many records
 * were copied; 0 if first is behind the last.
 *
 * Does not block. Any thread. Errors: TOO_LARGE if not even the first fits; CLOSED if the batch was released;
 * INVALID_ARGUMENT, FORKED. Since 0.1.
 */
thalweg_status thalweg_batch_copy(struct thalweg_batch *batch,
                                  size_t first,
                                  void *buffer,
                                  size_t capacity,
                                  struct thalweg_entry *entries,
                                  size_t entry_capacity,
                                  size_t *count,
                                  struct thalweg_error *error);

/**
 * Opens a reader of one partition, which moves on by itself and has the device asked ahead.
 *
 * start_at and value: THALWEG_START_EARLIEST and its like, but THALWEG_START_COMMITTED. reader: gets the handle, which is
 * yours to close with thalweg_reader_close; the topic's may be closed before.
 *
 * Blocks: a start by time reads the device. Any thread. Errors: OUT_OF_RANGE for an offset below the log start offset or
 * beyond the high watermark; NOT_FOUND for a partition that the topic does not have; INVALID_ARGUMENT; CORRUPT, IO;
 * DELETED; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_reader_open(struct thalweg_topic *topic,
                                   uint32_t partition,
                                   uint32_t start_at,
                                   uint64_t value,
                                   struct thalweg_reader **reader,
                                   struct thalweg_error *error);

/**
 * Closes a reader. Its batches stay. A call that another thread is in goes on to its end. NULL is allowed.
 *
 * Does not block. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_reader_close(struct thalweg_reader *reader, struct thalweg_error *error);

/**
 * The next records of a reader: up to max_bytes, but at least one batch as it was appended, whatever its size; often
 * less, though more is there, for they lie in one piece of memory. Waits for them until the time is over.
 *
 * timeout_ms: negative is without end, 0 for the device only. batch: gets the handle, which is yours to release with
 * thalweg_batch_release. view: gets what is in it.
 *
 * Blocks: waits for the device and for records. One thread at a time. Errors: TIMED_OUT, or WOULD_BLOCK with timeout_ms 0,
 * if there is nothing; CORRUPT where acknowledged records are damaged: a seek to the end of the range that the error
 * names reads on; OUT_OF_RANGE if the log start has overtaken the reader or the log was cut before it; NO_MEMORY if
 * batches that are held use up the readers' part of the memory; IO; PARTITION_FAILED behind the last record of a
 * partition that takes no more; INVALID_ARGUMENT; DELETED; CLOSED, FORKED. The reader then is where it was. Since 0.1.
 */
thalweg_status thalweg_reader_next(struct thalweg_reader *reader,
                                   size_t max_bytes,
                                   int64_t timeout_ms,
                                   struct thalweg_batch **batch,
                                   struct thalweg_batch_view *view,
                                   struct thalweg_error *error);

/**
 * The offset that a reader reads next.
 *
 * Does not block. One thread at a time. Errors: INVALID_ARGUMENT; WOULD_BLOCK if another thread is in a call of it;
 * CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_reader_offset(struct thalweg_reader *reader, uint64_t *offset, struct thalweg_error *error);

/**
 * Goes somewhere else. start_at and value: as for thalweg_reader_open.
 *
 * Blocks: a start by time reads the device. One thread at a time. Errors: OUT_OF_RANGE for an offset that is;
 * INVALID_ARGUMENT; CORRUPT, IO; WOULD_BLOCK if another thread is in a call of it; DELETED; CLOSED, FORKED. The reader
 * then stays where it was. Since 0.1.
 */
thalweg_status thalweg_reader_seek(struct thalweg_reader *reader,
                                   uint32_t start_at,
                                   uint64_t value,
                                   struct thalweg_error *error);

/**
 * Reads from an offset, without a reader: up to max_bytes, but at least one batch as it was appended. The first entry may
 * lie behind the offset, because offsets may skip; read on at next_offset of the view.
 *
 * The other arguments are those of thalweg_reader_next.
 *
 * Blocks: waits for the device and for records. Any thread. Errors: as thalweg_reader_next; NOT_FOUND for a partition that
 * the topic does not have. Since 0.1.
 */
thalweg_status thalweg_topic_read(struct thalweg_topic *topic,
                                  uint32_t partition,
                                  uint64_t offset,
                                  size_t max_bytes,
                                  int64_t timeout_ms,
                                  struct thalweg_batch **batch,
                                  struct thalweg_batch_view *view,
                                  struct thalweg_error *error);

/**
 * As thalweg_topic_read, for whoever wants no memory lent: copies the records from an offset on of which keys, values and
 * headers fit.
 *
 * buffer and capacity: where the bytes go. entries and entry_capacity: where their places go, positions counted in the
 * buffer. count: gets how many records were copied, 1 or more. next_offset: gets where to read on.
 *
 * Blocks: waits for the device and for records. Any thread. Errors: TOO_LARGE if not even the first record fits, whose
 * size the error tells; otherwise as thalweg_topic_read. Since 0.1.
 */
thalweg_status thalweg_topic_read_copy(struct thalweg_topic *topic,
                                       uint32_t partition,
                                       uint64_t offset,
                                       int64_t timeout_ms,
                                       void *buffer,
                                       size_t capacity,
                                       struct thalweg_entry *entries,
                                       size_t entry_capacity,
                                       size_t *count,
                                       uint64_t *next_offset,
                                       struct thalweg_error *error);

/**
 * Makes options ready: all as by default. size is sizeof(thalweg_consumer_options). NULL is allowed.
 *
 * Does not block. Any thread. Since 0.1.
 */
void thalweg_consumer_options_init(struct thalweg_consumer_options *options, size_t size);

/**
 * Opens a consumer, which reads nothing yet.
 *
 * options: NULL for the defaults. consumer: gets the handle, which is yours to close with thalweg_consumer_close.
 *
 * Blocks: the first use of named positions reads them from the device. Any thread. Errors: ALREADY_OPEN if a consumer of
 * the same name is open; INVALID_ARGUMENT; UNSUPPORTED for options of a later version; CORRUPT, IO; CLOSED, FORKED. Since
 * 0.1.
 */
thalweg_status thalweg_consumer_open(struct thalweg_engine *engine,
                                     const struct thalweg_consumer_options *options,
                                     struct thalweg_consumer **consumer,
                                     struct thalweg_error *error);

/**
 * Closes a consumer. What was committed stays, and so do batches. A thread that waits in thalweg_consumer_wait is woken,
 * and answers TIMED_OUT; the name is free once no thread is in a call any more. NULL is allowed.
 *
 * Does not block. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_consumer_close(struct thalweg_consumer *consumer,
                                      struct thalweg_error *error);

/**
 * Reads all partitions of a topic: from the positions committed under the consumer's name, or where there is none from
 * where its options say. Partitions that are added later are read from their beginning. The topic's handle may be closed
 * afterwards.
 *
 * Blocks: may read positions from the device, and a start by time records. One thread at a time. Errors: INVALID_ARGUMENT,
 * also for a topic of another engine; CORRUPT if the positions cannot be read; WOULD_BLOCK if another thread is in a call
 * of it; IO; DELETED; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_consumer_subscribe(struct thalweg_consumer *consumer,
                                          struct thalweg_topic *topic,
                                          struct thalweg_error *error);

/**
 * Reads one partition, or goes somewhere else in one that is read already.
 *
 * start_at and value: THALWEG_START_EARLIEST and its like; THALWEG_START_COMMITTED is as thalweg_consumer_subscribe does,
 * and leaves a partition that is read already where it is.
 *
 * Blocks: as thalweg_consumer_subscribe. One thread at a time. Errors: NOT_FOUND for a partition that the topic does not
 * have; OUT_OF_RANGE for an offset that is; otherwise as thalweg_consumer_subscribe. Since 0.1.
 */
thalweg_status thalweg_consumer_assign(struct thalweg_consumer *consumer,
                                       struct thalweg_topic *topic,
                                       uint32_t partition,
                                       uint32_t start_at,
                                       uint64_t value,
                                       struct thalweg_error *error);

/**
 * Stops reading a topic, all its partitions. What was committed stays.
 *
 * Does not block. One thread at a time. Errors: INVALID_ARGUMENT; WOULD_BLOCK if another thread is in a call of it;
 * CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_consumer_unsubscribe(struct thalweg_consumer *consumer,
                                            struct thalweg_topic *topic,
                                            struct thalweg_error *error);

/**
 * Goes somewhere else in a partition that is read. start_at and value: as for thalweg_consumer_assign, but
 * THALWEG_START_COMMITTED.
 *
 * Blocks: a start by time reads the device. One thread at a time. Errors: OUT_OF_RANGE for an offset that is; NOT_FOUND for
 * a partition that is not read; INVALID_ARGUMENT; CORRUPT, IO; WOULD_BLOCK if another thread is in a call of it; DELETED;
 * CLOSED, FORKED. The consumer then stays where it was. Since 0.1.
 */
thalweg_status thalweg_consumer_seek(struct thalweg_consumer *consumer,
                                     struct thalweg_topic *topic,
                                     uint32_t partition,
                                     uint32_t start_at,
                                     uint64_t value,
                                     struct thalweg_error *error);

/**
 * Goes somewhere else in all partitions that are read. start_at and value: as for thalweg_consumer_seek, but
 * THALWEG_START_OFFSET.
 *
 * Blocks: a start by time reads the device. One thread at a time. Errors: as thalweg_consumer_seek; after one, some
 * partitions have moved and others not. Since 0.1.
 */
thalweg_status thalweg_consumer_seek_all(struct thalweg_consumer *consumer,
                                         uint32_t start_at,
                                         uint64_t value,
                                         struct thalweg_error *error);

/**
 * Records that are there: one batch, out of the partition whose turn it is, up to max_bytes, but at least one batch as it
 * was appended; often less, though more is there, for it lies in one piece of memory. What is on the device is asked for,
 * and comes with a later call.
 *
 * batch: gets the handle, which is yours to release with thalweg_batch_release. view: gets what is in it.
 *
 * Does not block. One thread at a time. Errors: WOULD_BLOCK if there is nothing now, or another thread is in a call of it:
 * thalweg_consumer_eventfd tells when to ask again; NO_MEMORY if batches that are held use up the readers' part of the
 * memory: release some. Others concern one partition or topic, which the error names, and the next call goes on with the
 * others: CORRUPT where acknowledged records are damaged: a seek to the end of the range that the error names reads on;
 * OUT_OF_RANGE where the position is not there, if the options say so; DELETED, once, for a topic that is gone;
 * PARTITION_FAILED, once, behind the last record of a partition that takes no more; IO. INVALID_ARGUMENT, also if nothing
 * is read; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_consumer_poll(struct thalweg_consumer *consumer,
                                     size_t max_bytes,
                                     struct thalweg_batch **batch,
                                     struct thalweg_batch_view *view,
                                     struct thalweg_error *error);

/**
 * As thalweg_consumer_poll, but waits for records until the time is over, or thalweg_consumer_wakeup.
 *
 * timeout_ms: negative is without end, 0 for the device only.
 *
 * Blocks. One thread at a time. Errors: TIMED_OUT, or WOULD_BLOCK with timeout_ms 0, if there is nothing; otherwise as
 * thalweg_consumer_poll. Since 0.1.
 */
thalweg_status thalweg_consumer_wait(struct thalweg_consumer *consumer,
                                     size_t max_bytes,
                                     int64_t timeout_ms,
                                     struct thalweg_batch **batch,
                                     struct thalweg_batch_view *view,
                                     struct thalweg_error *error);

/**
 * Ends a thalweg_consumer_wait early, which answers TIMED_OUT; if no thread is in one, the next that would wait.
 *
 * Does not block. Any thread. Errors: INVALID_ARGUMENT; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_consumer_wakeup(struct thalweg_consumer *consumer, struct thalweg_error *error);

/**
 * A descriptor (fd) that is readable while a poll has something to look at, for poll, epoll and their like; then call
 * thalweg_consumer_poll as long as it answers OK. After WOULD_BLOCK there is nothing more now; after another error
 * others may have some, and it stays readable: also while polls answer NO_MEMORY, or an error that does not go away by
 * itself, as OUT_OF_RANGE until a seek. Do not read from it and do not close it; it lives as long as the consumer.
 *
 * Does not block. One thread at a time. Errors: IO if the process has no descriptor left; INVALID_ARGUMENT; WOULD_BLOCK if
 * another thread is in a call of it; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_consumer_eventfd(struct thalweg_consumer *consumer,
                                        int32_t *fd,
                                        struct thalweg_error *error);

/**
 * What is still to be read of all partitions together (lag), in offsets, of which some may have no record.
 *
 * Does not block. One thread at a time. Errors: INVALID_ARGUMENT; WOULD_BLOCK if another thread is in a call of it; CLOSED,
 * FORKED. Since 0.1.
 */
thalweg_status thalweg_consumer_lag(struct thalweg_consumer *consumer,
                                    uint64_t *lag,
                                    struct thalweg_error *error);

/**
 * Makes durable, under the consumer's name, that everything which polls have returned is handled: all partitions or none,
 * whatever crashes. Returns when it is.
 *
 * Blocks: waits for the device. One thread at a time. Errors: INVALID_ARGUMENT, also for a consumer without a name;
 * TOO_LARGE for more than 65,535 positions at once, or when all positions of the store would exceed 8 MiB; READ_ONLY;
 * NO_SPACE, IO, PARTITION_FAILED, after which the next open tells whether they are committed; WOULD_BLOCK if another
 * thread is in a call of it; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_consumer_commit(struct thalweg_consumer *consumer,
                                       struct thalweg_error *error);

/**
 * As thalweg_consumer_commit, but count positions of the caller: of partitions that are read or are not, with metadata.
 * Where the consumer reads on does not change.
 *
 * Blocks: waits for the device. One thread at a time. Errors: as thalweg_consumer_commit; NOT_FOUND for a partition that
 * its topic does not have; OUT_OF_RANGE for an offset above the high watermark, to which no reader can have come; DELETED.
 * Since 0.1.
 */
thalweg_status thalweg_consumer_commit_positions(struct thalweg_consumer *consumer,
                                                 const struct thalweg_position *positions,
                                                 size_t count,
                                                 struct thalweg_error *error);

/**
 * Where a consumer is, by topic number and partition. positions gets as many as capacity allows, count how many there are.
 *
 * Does not block. One thread at a time. Errors: INVALID_ARGUMENT; WOULD_BLOCK if another thread is in a call of it; CLOSED,
 * FORKED. Since 0.1.
 */
thalweg_status thalweg_consumer_positions(struct thalweg_consumer *consumer,
                                          struct thalweg_consumer_position *positions,
                                          size_t capacity,
                                          size_t *count,
                                          struct thalweg_error *error);

/**
 * The committed positions of a consumer, or with NULL of all, by name, topic number and partition. Those of deleted topics
 * are left out. positions gets as many as capacity allows, count how many there are.
 *
 * Blocks: the first use of named positions reads them from the device. Any thread. Errors: INVALID_ARGUMENT; CORRUPT if the
 * positions cannot be read; IO; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_position_list(struct thalweg_engine *engine,
                                     const char *consumer,
                                     struct thalweg_named_position *positions,
                                     size_t capacity,
                                     size_t *count,
                                     struct thalweg_error *error);

/**
 * What was committed with a position. buffer gets as many bytes as capacity allows, size how many there are.
 *
 * Blocks: as thalweg_position_list. Any thread. Errors: NOT_FOUND if there is no such position; otherwise as
 * thalweg_position_list. Since 0.1.
 */
thalweg_status thalweg_position_metadata(struct thalweg_engine *engine,
                                         const char *consumer,
                                         const char *topic,
                                         uint32_t partition,
                                         void *buffer,
                                         size_t capacity,
                                         size_t *size,
                                         struct thalweg_error *error);

/**
 * Puts a consumer at a start in one partition of a topic, or with THALWEG_PARTITION_ALL in all of them: all or none, and
 * durable when it returns. The consumer need not exist before. start_at and value: as for thalweg_reader_open.
 *
 * Blocks: waits for the device. Any thread. Errors: ALREADY_OPEN while a consumer of this name is open; OUT_OF_RANGE for
 * an offset that is; NOT_FOUND for a partition that the topic does not have; otherwise as thalweg_consumer_commit. Since
 * 0.1.
 */
thalweg_status thalweg_position_reset(struct thalweg_engine *engine,
                                      const char *consumer,
                                      struct thalweg_topic *topic,
                                      uint32_t partition,
                                      uint32_t start_at,
                                      uint64_t value,
                                      struct thalweg_error *error);

/**
 * Removes the positions of a consumer in one topic, or with NULL all of them. Durable when it returns.
 *
 * Blocks: waits for the device. Any thread. Errors: NOT_FOUND if there are none; otherwise as thalweg_position_reset. Since
 * 0.1.
 */
thalweg_status thalweg_position_delete(struct thalweg_engine *engine,
                                       const char *consumer,
                                       struct thalweg_topic *topic,
                                       struct thalweg_error *error);

/**
 * Opens the key-values of a topic. key_values: gets the handle, which is yours to close with thalweg_key_values_close; the
 * topic's may be closed before.
 *
 * Does not block. Any thread. Errors: INVALID_ARGUMENT, also for a topic of another engine; DELETED; CLOSED, FORKED. Since
 * 0.1.
 */
thalweg_status thalweg_key_values_open(struct thalweg_engine *engine,
                                       struct thalweg_topic *topic,
                                       struct thalweg_key_values **key_values,
                                       struct thalweg_error *error);

/**
 * Closes the handle. The values stay. NULL is allowed.
 *
 * Does not block. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_key_values_close(struct thalweg_key_values *key_values, struct thalweg_error *error);

/**
 * The value of a key. buffer gets as many of its bytes as capacity allows, size how many there are.
 *
 * Blocks: the first use reads the values from the device. Any thread. Errors: NOT_FOUND if the key has no value; TOO_LARGE
 * for a key beyond the limit; INVALID_ARGUMENT, also for an empty key; CORRUPT if the values cannot be read; IO; DELETED;
 * CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_key_values_get(struct thalweg_key_values *key_values,
                                      const void *key,
                                      size_t key_size,
                                      void *buffer,
                                      size_t capacity,
                                      size_t *size,
                                      struct thalweg_error *error);

/**
 * Gives a key a value. Durable when it returns.
 *
 * key: 1 to 1,024 bytes. value: up to 1 MiB; with value_size 0 the value is empty, also where value is NULL, which in
 * thalweg_key_value_write takes the value away.
 *
 * Blocks: waits for the device. Any thread. Errors: as thalweg_key_values_write. Since 0.1.
 */
thalweg_status thalweg_key_values_put(struct thalweg_key_values *key_values,
                                      const void *key,
                                      size_t key_size,
                                      const void *value,
                                      size_t value_size,
                                      struct thalweg_error *error);

/**
 * Takes a key's value away, if it has one. Durable when it returns.
 *
 * key: 1 to 1,024 bytes.
 *
 * Blocks: waits for the device. Any thread. Errors: as thalweg_key_values_write. Since 0.1.
 */
thalweg_status thalweg_key_values_delete(struct thalweg_key_values *key_values,
                                         const void *key,
                                         size_t key_size,
                                         struct thalweg_error *error);

/**
 * Makes the changes in writes (count, up to 1,024), in their order: all or none, whatever crashes. Durable when it
 * returns.
 *
 * Blocks: waits for the device. Any thread. Errors: TOO_LARGE beyond a limit, the one of 8 MiB for all topics together
 * included; READ_ONLY; NO_SPACE, IO, PARTITION_FAILED, after which the next open tells whether the changes are made;
 * otherwise as thalweg_key_values_get. Since 0.1.
 */
thalweg_status thalweg_key_values_write(struct thalweg_key_values *key_values,
                                        const struct thalweg_key_value_write *writes,
                                        size_t count,
                                        struct thalweg_error *error);

/**
 * The keys that begin with a prefix, which may be empty, with their values, in the order of their bytes, as a batch:
 * entries have key and value, and no offset that means something. batch: gets the handle, which is yours to release with
 * thalweg_batch_release; it has no entry if there are none. view: gets what is in it.
 *
 * Blocks: the first use reads the values from the device. Any thread. Errors: as thalweg_key_values_get, but NOT_FOUND.
 * Since 0.1.
 */
thalweg_status thalweg_key_values_list(struct thalweg_key_values *key_values,
                                       const void *prefix,
                                       size_t prefix_size,
                                       struct thalweg_batch **batch,
                                       struct thalweg_batch_view *view,
                                       struct thalweg_error *error);

/**
 * Makes metrics ready to be filled. size is sizeof(thalweg_metrics). NULL is allowed.
 *
 * Does not block. Any thread. Since 0.1.
 */
void thalweg_metrics_init(struct thalweg_metrics *metrics, size_t size);

/**
 * What an engine counts of itself, as it is now. into: gets it. Appends and reads do not wait for it.
 *
 * Blocks: the first call reads the named positions from the device. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED.
 * Since 0.1.
 */
thalweg_status thalweg_engine_metrics(struct thalweg_engine *engine,
                                      struct thalweg_metrics *into,
                                      struct thalweg_error *error);

/**
 * All that an engine counts of itself, as one line of JSON: docs/METRICS.md has the names. Written to buffer, cut to capacity, with a zero byte at its
 * end; size gets how long all of it is, without that byte. With NULL and capacity 0 only size is told; the next call may
 * need more.
 *
 * Blocks: as thalweg_engine_metrics. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_engine_metrics_json(struct thalweg_engine *engine,
                                           char *buffer,
                                           size_t capacity,
                                           size_t *size,
                                           struct thalweg_error *error);

/**
 * As thalweg_engine_metrics_json, as Prometheus scrapes it: text exposition format, version 0.0.4.
 *
 * Blocks: as thalweg_engine_metrics. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_engine_metrics_prometheus(struct thalweg_engine *engine,
                                                 char *buffer,
                                                 size_t capacity,
                                                 size_t *size,
                                                 struct thalweg_error *error);

/**
 * Makes an event ready to be filled. size is sizeof(thalweg_event). NULL is allowed.
 *
 * Does not block. Any thread. Since 0.1.
 */
void thalweg_event_init(struct thalweg_event *event, size_t size);

/**
 * Opens the events of an engine: what happened since its open began, until somebody takes it or it gives way to newer
 * events, of which 1,024 are kept. All handles take from one queue. events: gets the handle, which is yours to close with
 * thalweg_events_close; it outlives the engine, to tell of its close.
 *
 * Does not block. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_events_open(struct thalweg_engine *engine,
                                   struct thalweg_events **events,
                                   struct thalweg_error *error);

/**
 * Closes the handle. Events go on to be kept. NULL is allowed.
 *
 * Does not block. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_events_close(struct thalweg_events *events, struct thalweg_error *error);

/**
 * Takes the oldest event.
 *
 * Does not block. Any thread. Errors: WOULD_BLOCK if there is none; INVALID_ARGUMENT; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_events_poll(struct thalweg_events *events,
                                   struct thalweg_event *event,
                                   struct thalweg_error *error);

/**
 * Events that were dropped because nobody took them, since the engine was opened. count: gets how many.
 *
 * Does not block. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_events_dropped(struct thalweg_events *events, uint64_t *count, struct thalweg_error *error);

/**
 * A descriptor (fd) that is readable exactly while events wait, for poll, epoll and their like. Do not read from it and do
 * not close it; it lives as long as the handle.
 *
 * Does not block. Any thread. Errors: IO if the process has no descriptor left; INVALID_ARGUMENT; CLOSED, FORKED. Since
 * 0.1.
 */
thalweg_status thalweg_events_eventfd(struct thalweg_events *events,
                                      int32_t *fd,
                                      struct thalweg_error *error);

/**
 * Makes a report ready to be filled. size is sizeof(thalweg_verify_report). NULL is allowed.
 *
 * Does not block. Any thread. Since 0.1.
 */
void thalweg_verify_report_init(struct thalweg_verify_report *report, size_t size);

/**
 * Reads everything that is on the device, and checks every checksum and every offset. report: gets the sums. Appends and
 * reads go on meanwhile. ranges gets as many damaged ranges as capacity allows, count how many there are; damage is no
 * error of this call.
 *
 * Blocks: reads all of the store. Any thread. Errors: NO_MEMORY if batches that are held leave no memory for it;
 * INVALID_ARGUMENT; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_engine_verify(struct thalweg_engine *engine,
                                     struct thalweg_verify_report *report,
                                     struct thalweg_damaged_range *ranges,
                                     size_t capacity,
                                     size_t *count,
                                     struct thalweg_error *error);

/**
 * The frames of a partition as they stand in its segments: from the one that holds the offset from, up to the first that
 * begins at the offset until or beyond. What is on the device is read from there, past the cache, and checked; damage is
 * told in its place. frames gets as many as capacity allows, count how many there are.
 *
 * Blocks: reads the device. Any thread. Errors: NOT_FOUND for a partition that the topic does not have; NO_MEMORY if
 * batches that are held leave no memory for it; INVALID_ARGUMENT; DELETED; CLOSED, FORKED. Since 0.1.
 */
thalweg_status thalweg_topic_list_frames(struct thalweg_topic *topic,
                                         uint32_t partition,
                                         uint64_t from,
                                         uint64_t until,
                                         struct thalweg_frame *frames,
                                         size_t capacity,
                                         size_t *count,
                                         struct thalweg_error *error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* THALWEG_H */
