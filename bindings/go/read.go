package thalweg

// #include <thalweg.h>
import "C"

import "context"

// Read reads from an offset of a partition: up to maxBytes, but at least one batch as it was appended. It waits for
// the device, and not for records: [ErrWouldBlock] says that there are none yet. To wait for them, a [Consumer]
// without a name is assigned the partition. Release the batch.
func (t *Topic) Read(ctx context.Context, partition uint32, offset uint64, maxBytes int) (*Batch, error) {
	return detach(ctx, func() (*Batch, error) {
		var handle *C.thalweg_batch
		var view C.thalweg_batch_view
		err := t.call(func(topic *C.thalweg_topic, failure *C.thalweg_error) C.thalweg_status {
			return C.thalweg_topic_read(topic, C.uint32_t(partition), C.uint64_t(offset), C.size_t(maxBytes), 0,
				&handle, &view, failure)
		})
		if err != nil {
			return nil, err
		}
		return newBatch(handle, &view), nil
	}, (*Batch).Release)
}
