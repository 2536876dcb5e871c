package thalweg

// #include <stdlib.h>
// #include <thalweg.h>
import "C"

import (
	"context"
	"runtime"
	"unsafe"
)

// CommitPosition is a position to commit.
type CommitPosition struct {
	Topic     *Topic
	Partition uint32
	// The offset to go on at: one after the last record that was handled.
	Offset uint64
	// Up to 4,096 bytes that are kept with it, and mean nothing to the engine.
	Metadata []byte
}

// CommitPositions is [Consumer.Commit] with positions of the caller, of partitions that are read or are not. Where the
// consumer reads on does not change.
func (c *Consumer) CommitPositions(ctx context.Context, positions ...CommitPosition) error {
	return detachCall(ctx, func() error {
		// In memory of C, because it has pointers.
		lent := (*C.thalweg_position)(C.calloc(C.size_t(max(1, len(positions))), C.sizeof_thalweg_position))
		defer C.free(unsafe.Pointer(lent))
		all := unsafe.Slice(lent, len(positions))
		for i := range positions {
			position, into := &positions[i], &all[i]
			into.topic, into.partition, into.offset = position.Topic.handle, C.uint32_t(position.Partition),
				C.uint64_t(position.Offset)
			into.metadata = copied(position.Metadata)
			defer C.free(into.metadata.data)
		}
		defer runtime.KeepAlive(positions)
		return c.call(func(handle *C.thalweg_consumer, failure *C.thalweg_error) C.thalweg_status {
			return C.thalweg_consumer_commit_positions(handle, lent, C.size_t(len(positions)), failure)
		})
	})
}

// NoOffset stands for a position that was never committed.
const NoOffset uint64 = C.THALWEG_NO_OFFSET

// ConsumerPosition is where a consumer is in a partition.
type ConsumerPosition struct {
	Topic     string
	Partition uint32
	// The offset that is read next.
	Offset uint64
	// The offset that is committed under the consumer's name, or [NoOffset].
	Committed uint64
	// What is still to be read.
	Lag uint64
}

// Positions is where the consumer is.
func (c *Consumer) Positions() ([]ConsumerPosition, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	found, err := list(func(
		into *C.thalweg_consumer_position, capacity C.size_t, count *C.size_t, failure *C.thalweg_error,
	) C.thalweg_status {
		return C.thalweg_consumer_positions(c.handle, into, capacity, count, failure)
	})
	return convert(found, func(from *C.thalweg_consumer_position) ConsumerPosition {
		return ConsumerPosition{
			text(from.topic[:]), uint32(from.partition), uint64(from.offset), uint64(from.committed), uint64(from.lag),
		}
	}), err
}

// NamedPosition is a committed position.
type NamedPosition struct {
	Consumer  string
	Topic     string
	Partition uint32
	// The offset at which the consumer goes on, and the one behind the last record that readers see.
	Offset, HighWatermark uint64
	Lag                   uint64
	// Bytes of what was committed with it.
	MetadataSize uint32
}

// Positions are the committed positions of a consumer, or with an empty name of all.
func (e *Engine) Positions(ctx context.Context, consumer string) ([]NamedPosition, error) {
	return detach(ctx, func() (positions []NamedPosition, err error) {
		err = optionalText(consumer, func(consumer *C.char) error {
			found, err := list(func(
				into *C.thalweg_named_position, capacity C.size_t, count *C.size_t, failure *C.thalweg_error,
			) C.thalweg_status {
				defer runtime.KeepAlive(e)
				return C.thalweg_position_list(e.handle, consumer, into, capacity, count, failure)
			})
			positions = convert(found, func(from *C.thalweg_named_position) NamedPosition {
				return NamedPosition{
					text(from.consumer[:]), text(from.topic[:]), uint32(from.partition), uint64(from.offset),
					uint64(from.high_watermark), uint64(from.lag), uint32(from.metadata_size),
				}
			})
			return err
		})
		return positions, err
	}, nil)
}

func optionalText(text string, function func(*C.char) error) error {
	if text == "" {
		return function(nil)
	}
	return withText(text, function)
}

// PositionMetadata is what was committed with a position.
func (e *Engine) PositionMetadata(ctx context.Context, consumer, topic string, partition uint32) ([]byte, error) {
	return detach(ctx, func() (metadata []byte, err error) {
		err = withText(consumer, func(consumer *C.char) error {
			return withText(topic, func(topic *C.char) (err error) {
				metadata, err = list(func(
					into *byte, capacity C.size_t, size *C.size_t, failure *C.thalweg_error,
				) C.thalweg_status {
					defer runtime.KeepAlive(e)
					return C.thalweg_position_metadata(
						e.handle, consumer, topic, C.uint32_t(partition), unsafe.Pointer(into), capacity, size, failure,
					)
				})
				return err
			})
		})
		return metadata, err
	}, nil)
}

// AllPartitions stands for all partitions of a topic in [Engine.ResetPosition].
const AllPartitions uint32 = C.THALWEG_PARTITION_ALL

// ResetPosition puts a consumer at a start in one partition of a topic, or in [AllPartitions]. The consumer need not
// exist before, and may not be open.
func (e *Engine) ResetPosition(ctx context.Context, consumer string, topic *Topic, partition uint32,
	start Start) error {
	return detachCall(ctx, func() error {
		defer runtime.KeepAlive(topic)
		return e.callText(consumer, func(
			engine *C.thalweg_engine, consumer *C.char, failure *C.thalweg_error,
		) C.thalweg_status {
			return C.thalweg_position_reset(engine, consumer, topic.handle, C.uint32_t(partition), start.at,
				start.value, failure)
		})
	})
}

// DeletePositions removes the positions of a consumer in a topic, or with nil all of them.
func (e *Engine) DeletePositions(ctx context.Context, consumer string, topic *Topic) error {
	return detachCall(ctx, func() error {
		defer runtime.KeepAlive(topic)
		var handle *C.thalweg_topic
		if topic != nil {
			handle = topic.handle
		}
		return e.callText(consumer, func(
			engine *C.thalweg_engine, consumer *C.char, failure *C.thalweg_error,
		) C.thalweg_status {
			return C.thalweg_position_delete(engine, consumer, handle, failure)
		})
	})
}
