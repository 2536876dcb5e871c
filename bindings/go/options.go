package thalweg

// #include <thalweg.h>
import "C"

import "time"

// Durability is what an acknowledged append survives.
type Durability uint32

const (
	// LoseOnKill: in memory; the kill of the process may take it back.
	LoseOnKill Durability = C.THALWEG_LOSE_ON_KILL
	// LoseOnPowerCut: the device has taken the write; the loss of power may take it back.
	LoseOnPowerCut Durability = C.THALWEG_LOSE_ON_POWER_CUT
	// Durable: on the medium; nothing takes it back.
	Durable Durability = C.THALWEG_DURABLE
)

// Runtime is what moves bytes between memory and files.
type Runtime uint32

const (
	// RuntimeAuto is io_uring where the kernel permits it, else plain system calls.
	RuntimeAuto Runtime = C.THALWEG_RUNTIME_AUTO
	// RuntimeUring is io_uring, or the open fails.
	RuntimeUring Runtime = C.THALWEG_RUNTIME_URING
	// RuntimePosix is plain system calls on a bounded pool of threads.
	RuntimePosix Runtime = C.THALWEG_RUNTIME_POSIX
)

// Option says how an engine is opened.
type Option func(*C.thalweg_engine_options)

func flag(bit C.uint32_t) Option {
	return func(options *C.thalweg_engine_options) { options.flags |= bit }
}

// NoCreate: a directory that holds no store does not become one.
func NoCreate() Option { return flag(C.THALWEG_ENGINE_NO_CREATE) }

// ReadOnly: the store is only read.
func ReadOnly() Option { return flag(C.THALWEG_ENGINE_READ_ONLY) }

// PinCores: each shard's thread stays on one core.
func PinCores() Option { return flag(C.THALWEG_ENGINE_PIN_CORES) }

// TrustSharedDirectory: a directory that its group or everyone may write is used all the same.
func TrustSharedDirectory() Option { return flag(C.THALWEG_ENGINE_TRUST_SHARED_DIRECTORY) }

// GiveUpJournal: a store opens without files of its journal that are missing or cut short, and without the acknowledged
// records that only they held.
func GiveUpJournal() Option { return flag(C.THALWEG_ENGINE_GIVE_UP_JOURNAL) }

// WithRuntime chooses the runtime.
func WithRuntime(runtime Runtime) Option {
	return func(options *C.thalweg_engine_options) { options.runtime = C.uint32_t(runtime) }
}

// DefaultDurability is that of topics that are created without one.
func DefaultDurability(durability Durability) Option {
	return func(options *C.thalweg_engine_options) { options.durability = C.uint32_t(durability) }
}

// MemoryBudget is all memory that grows with load, in bytes: 64 MiB to 1 TiB; 256 MiB by default.
func MemoryBudget(bytes uint64) Option {
	return func(options *C.thalweg_engine_options) { options.memory_budget = C.uint64_t(bytes) }
}

// SegmentSize is the largest segment file, in bytes: 64 KiB to 8 GiB; 256 MiB by default.
func SegmentSize(bytes uint64) Option {
	return func(options *C.thalweg_engine_options) { options.segment_size = C.uint64_t(bytes) }
}

// Shards is the number of threads that write and read the device, 1 to 64; by default one for every four cores.
func Shards(count uint32) Option {
	return func(options *C.thalweg_engine_options) { options.shards = C.uint32_t(count) }
}

// OpenFiles is how many segment files stay open at most, 16 to 1,048,576.
func OpenFiles(count uint32) Option {
	return func(options *C.thalweg_engine_options) { options.open_files = C.uint32_t(count) }
}

// LockTimeout is how long opening waits for another owner to let go of the directory: at most one hour, 2 s by
// default. Zero and less: not at all.
func LockTimeout(timeout time.Duration) Option {
	return func(options *C.thalweg_engine_options) {
		options.lock_timeout_ms = C.int64_t(timeout.Milliseconds())
		if timeout <= 0 {
			options.lock_timeout_ms = -1
		}
	}
}

// TopicOption says how a topic is laid out.
type TopicOption func(*C.thalweg_topic_options)

// Partitions is the number of partitions, 1 to 65,536; 1 by default.
func Partitions(count uint32) TopicOption {
	return func(options *C.thalweg_topic_options) { options.partitions = C.uint32_t(count) }
}

// TopicDurability is when appends are acknowledged and become visible; by default what the engine was opened with.
func TopicDurability(durability Durability) TopicOption {
	return func(options *C.thalweg_topic_options) { options.durability = C.uint32_t(durability) }
}
