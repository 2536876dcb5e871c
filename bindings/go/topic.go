package thalweg

// #include <thalweg.h>
import "C"

import (
	"context"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// Topic is a topic to append to and to read from.
type Topic struct {
	engine  *Engine
	name    string
	handle  *C.thalweg_topic
	closed  atomic.Bool
	cleanup runtime.Cleanup
}

func newTopic(e *Engine, name string, handle *C.thalweg_topic, err error) (*Topic, error) {
	if err != nil {
		return nil, err
	}
	t := &Topic{engine: e, name: name, handle: handle}
	t.cleanup = runtime.AddCleanup(t, func(handle *C.thalweg_topic) { C.thalweg_topic_close(handle, nil) }, handle)
	return t, nil
}

func closeQuietly(t *Topic) { _ = t.Close() }

// Close lets go of the topic, which stays, as its records do.
func (t *Topic) Close() error {
	if t.closed.Swap(true) {
		return closed("the topic")
	}
	t.cleanup.Stop()
	return t.call(func(handle *C.thalweg_topic, failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_topic_close(handle, failure)
	})
}

// Name is the topic's name.
func (t *Topic) Name() string { return t.name }

func (t *Topic) call(function func(*C.thalweg_topic, *C.thalweg_error) C.thalweg_status) error {
	err := call(func(failure *C.thalweg_error) C.thalweg_status { return function(t.handle, failure) })
	runtime.KeepAlive(t)
	return err
}

// TopicInfo is a topic as it is now.
type TopicInfo struct {
	Name       string
	ID         uint32
	Partitions uint32
	Durability Durability
}

func topicInfo(from *C.thalweg_topic_info) TopicInfo {
	return TopicInfo{text(from.name[:]), uint32(from.id), uint32(from.partitions), Durability(from.durability)}
}

// Info is what the topic looks like now.
func (t *Topic) Info() (TopicInfo, error) {
	var info C.thalweg_topic_info
	err := t.call(func(handle *C.thalweg_topic, failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_topic_describe(handle, &info, failure)
	})
	return topicInfo(&info), err
}

// PartitionInfo is a partition as it is now.
type PartitionInfo struct {
	Partition uint32
	// The offset of the oldest record that is kept, and the one behind the last that readers see.
	LogStart, HighWatermark uint64
	// Bytes of its segment files.
	StoredSize uint64
	Segments   uint32
	// Damaged ranges that recovery found.
	Damaged uint32
	// It takes no appends until the store is opened again; Why says the reason.
	Failed bool
	Why    string
}

// Partitions are the partitions of the topic.
func (t *Topic) Partitions() ([]PartitionInfo, error) {
	infos, err := list(func(
		into *C.thalweg_partition_info, capacity C.size_t, count *C.size_t, failure *C.thalweg_error,
	) C.thalweg_status {
		defer runtime.KeepAlive(t)
		return C.thalweg_topic_list_partitions(t.handle, 0, into, capacity, count, failure)
	})
	return convert(infos, func(from *C.thalweg_partition_info) PartitionInfo {
		return PartitionInfo{
			uint32(from.partition), uint64(from.log_start), uint64(from.high_watermark), uint64(from.stored_size),
			uint32(from.segments), uint32(from.damaged), from.failed != 0, text(from.why[:]),
		}
	}), err
}

// AddPartitions raises the number of partitions to total. Keys may belong to other partitions from then on.
func (t *Topic) AddPartitions(ctx context.Context, total uint32) error {
	return detachCall(ctx, func() error {
		return t.call(func(handle *C.thalweg_topic, failure *C.thalweg_error) C.thalweg_status {
			return C.thalweg_topic_add_partitions(handle, C.uint32_t(total), failure)
		})
	})
}

// PartitionOf is the partition that a key belongs to: murmur2, exactly as Kafka's Java client.
func (t *Topic) PartitionOf(key []byte) (uint32, error) {
	var partition C.uint32_t
	err := t.call(func(handle *C.thalweg_topic, failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_topic_partition_of(handle, unsafe.Pointer(unsafe.SliceData(key)), C.size_t(len(key)),
			&partition, failure)
	})
	return uint32(partition), err
}

// NextOffset is the offset that the next append to a partition gets.
func (t *Topic) NextOffset(partition uint32) (uint64, error) {
	var offset C.uint64_t
	err := t.call(func(handle *C.thalweg_topic, failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_topic_next_offset(handle, C.uint32_t(partition), &offset, failure)
	})
	return uint64(offset), err
}

// TruncateBefore removes the records below an offset, which becomes the log start. Durable when it returns.
func (t *Topic) TruncateBefore(ctx context.Context, partition uint32, offset uint64) error {
	return detachCall(ctx, func() error {
		return t.call(func(handle *C.thalweg_topic, failure *C.thalweg_error) C.thalweg_status {
			return C.thalweg_topic_truncate_before(handle, C.uint32_t(partition), C.uint64_t(offset), failure)
		})
	})
}

// TruncateAfter cuts off the records at an offset and beyond: it becomes the next offset. Durable when it returns.
func (t *Topic) TruncateAfter(ctx context.Context, partition uint32, offset uint64) error {
	return detachCall(ctx, func() error {
		return t.call(func(handle *C.thalweg_topic, failure *C.thalweg_error) C.thalweg_status {
			return C.thalweg_topic_truncate_after(handle, C.uint32_t(partition), C.uint64_t(offset), failure)
		})
	})
}
