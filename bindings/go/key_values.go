package thalweg

// #include <stdlib.h>
// #include <thalweg.h>
import "C"

import (
	"context"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// KeyValues is a few small values beside a topic, by key, durable and changed at once.
type KeyValues struct {
	engine  *Engine
	handle  *C.thalweg_key_values
	closed  atomic.Bool
	cleanup runtime.Cleanup
}

// KeyValue is a key of up to 1,024 bytes and a value of up to 1 MiB. As a change, nil takes the key's value away.
type KeyValue struct{ Key, Value []byte }

// KeyValues opens the key-values of a topic.
func (e *Engine) KeyValues(topic *Topic) (*KeyValues, error) {
	k := &KeyValues{engine: e}
	err := e.call(func(engine *C.thalweg_engine, failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_key_values_open(engine, topic.handle, &k.handle, failure)
	})
	runtime.KeepAlive(topic)
	if err != nil {
		return nil, err
	}
	k.cleanup = runtime.AddCleanup(k, func(handle *C.thalweg_key_values) { C.thalweg_key_values_close(handle, nil) },
		k.handle)
	return k, nil
}

// Close lets go of the key-values, which stay.
func (k *KeyValues) Close() error {
	if k.closed.Swap(true) {
		return closed("the handle of key-values")
	}
	k.cleanup.Stop()
	return call(func(failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_key_values_close(k.handle,
			failure)
	})
}

// Get is the value of a key. [ErrNotFound]: it has none.
func (k *KeyValues) Get(ctx context.Context, key []byte) ([]byte, error) {
	return detach(ctx, func() ([]byte, error) {
		return list(func(into *byte, capacity C.size_t, size *C.size_t, failure *C.thalweg_error) C.thalweg_status {
			defer runtime.KeepAlive(k)
			return C.thalweg_key_values_get(
				k.handle, unsafe.Pointer(unsafe.SliceData(key)), C.size_t(len(key)), unsafe.Pointer(into), capacity,
				size, failure,
			)
		})
	}, nil)
}

// Put gives a key a value, which may be empty. Durable when it returns.
func (k *KeyValues) Put(ctx context.Context, key, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	return k.Write(ctx, KeyValue{key, value})
}

// Delete takes a key's value away, if it has one. Durable when it returns.
func (k *KeyValues) Delete(ctx context.Context, key []byte) error {
	return k.Write(ctx, KeyValue{Key: key})
}

// Write makes changes, up to 1,024, in their order: all or none, whatever crashes. Durable when it returns.
func (k *KeyValues) Write(ctx context.Context, changes ...KeyValue) error {
	return detachCall(ctx, func() error {
		// In memory of C, because it has pointers.
		lent := (*C.thalweg_key_value_write)(C.calloc(C.size_t(max(1, len(changes))), C.sizeof_thalweg_key_value_write))
		defer C.free(unsafe.Pointer(lent))
		all := unsafe.Slice(lent, len(changes))
		for i := range changes {
			all[i].key = copied(changes[i].Key)
			defer C.free(all[i].key.data)
			all[i].value = copied(changes[i].Value)
			defer C.free(all[i].value.data)
		}
		return call(func(failure *C.thalweg_error) C.thalweg_status {
			defer runtime.KeepAlive(k)
			return C.thalweg_key_values_write(k.handle, lent, C.size_t(len(changes)), failure)
		})
	})
}

// List is the keys that begin with a prefix, which may be empty, with their values, in the order of their bytes.
func (k *KeyValues) List(ctx context.Context, prefix []byte) ([]KeyValue, error) {
	return detach(ctx, func() ([]KeyValue, error) {
		var handle *C.thalweg_batch
		var view C.thalweg_batch_view
		err := call(func(failure *C.thalweg_error) C.thalweg_status {
			return C.thalweg_key_values_list(
				k.handle, unsafe.Pointer(unsafe.SliceData(prefix)), C.size_t(len(prefix)), &handle, &view, failure,
			)
		})
		runtime.KeepAlive(k)
		if err != nil {
			return nil, err
		}
		batch := newBatch(handle, &view)
		defer batch.Release()
		var found []KeyValue
		for record := range batch.All() {
			record = record.Clone()
			found = append(found, KeyValue{record.Key, record.Value})
		}
		return found, nil
	}, nil)
}
