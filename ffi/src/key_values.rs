//! Key-values: a small durable map beside each topic.

use std::ffi::c_void;

use thalweg::limits::{KEY_VALUE_BATCH_MAX, KEY_VALUE_KEY_MAX, KEY_VALUE_VALUE_MAX};
use thalweg::{KeyValues, Write};

use crate::arguments::{array, check};
use crate::batch::{BatchObject, Place, thalweg_batch, thalweg_batch_view};
use crate::call::{call_on, close, other};
use crate::engine::{ENGINES, thalweg_engine};
use crate::error::thalweg_error;
use crate::failure::{Answer, Failure};
use crate::handle::Table;
use crate::status::{NOT_FOUND, thalweg_status};
use crate::text::{bytes, copy_bytes, thalweg_bytes};
use crate::topic::{TOPICS, thalweg_topic};

/// The key-values of a topic: a few, small, and durable. Close it with thalweg_key_values_close.
pub struct thalweg_key_values {
    _opaque: (),
}

/// One change of thalweg_key_values_write.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_key_value_write {
    /// 1 to 1,024 bytes.
    pub key: thalweg_bytes,
    /// Up to 1 MiB; data NULL: the key loses its value.
    pub value: thalweg_bytes,
}

pub(crate) static KEY_VALUES: Table<KeyValues> = Table::new(7, "key-values");

/// Opens the key-values of a topic. key_values: gets the handle, which is yours to close with thalweg_key_values_close; the
/// topic's may be closed before.
///
/// Does not block. Any thread. Errors: INVALID_ARGUMENT, also for a topic of another engine; DELETED; CLOSED, FORKED. Since
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_key_values_open(
    engine: *mut thalweg_engine,
    topic: *mut thalweg_topic,
    key_values: *mut *mut thalweg_key_values,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            check(key_values, "key_values")?;
            let opened = object.engine.key_values(&other(&TOPICS, topic)?.topic)?;
            key_values.write(KEY_VALUES.open(opened)?);
            Ok(())
        })
    }
}

/// Closes the handle. The values stay. NULL is allowed.
///
/// Does not block. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_key_values_close(
    key_values: *mut thalweg_key_values,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe { close(&KEY_VALUES, key_values, error, |_| Ok(())) }
}

/// The value of a key. buffer gets as many of its bytes as capacity allows, size how many there are.
///
/// Blocks: the first use reads the values from the device. Any thread. Errors: NOT_FOUND if the key has no value; TOO_LARGE
/// for a key beyond the limit; INVALID_ARGUMENT, also for an empty key; CORRUPT if the values cannot be read; IO; DELETED;
/// CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_key_values_get(
    key_values: *mut thalweg_key_values,
    key: *const c_void,
    key_size: usize,
    buffer: *mut c_void,
    capacity: usize,
    size: *mut usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&KEY_VALUES, key_values, error, |values| {
            check(size, "size")?;
            let Some(value) = values.get(bytes(key, key_size, KEY_VALUE_KEY_MAX, "key")?)? else {
                return Err(Failure::new(NOT_FOUND, "the key has no value"));
            };
            size.write(copy_bytes(&value, buffer, capacity)?);
            Ok(())
        })
    }
}

/// Gives a key a value. Durable when it returns.
///
/// key: 1 to 1,024 bytes. value: up to 1 MiB; with value_size 0 the value is empty, also where value is NULL, which in
/// thalweg_key_value_write takes the value away.
///
/// Blocks: waits for the device. Any thread. Errors: as thalweg_key_values_write. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_key_values_put(
    key_values: *mut thalweg_key_values,
    key: *const c_void,
    key_size: usize,
    value: *const c_void,
    value_size: usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&KEY_VALUES, key_values, error, |values| {
            let key = bytes(key, key_size, KEY_VALUE_KEY_MAX, "key")?;
            Ok(values.put(key, bytes(value, value_size, KEY_VALUE_VALUE_MAX, "value")?)?)
        })
    }
}

/// Takes a key's value away, if it has one. Durable when it returns.
///
/// key: 1 to 1,024 bytes.
///
/// Blocks: waits for the device. Any thread. Errors: as thalweg_key_values_write. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_key_values_delete(
    key_values: *mut thalweg_key_values,
    key: *const c_void,
    key_size: usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&KEY_VALUES, key_values, error, |values| {
            Ok(values.delete(bytes(key, key_size, KEY_VALUE_KEY_MAX, "key")?)?)
        })
    }
}

/// Makes the changes in writes (count, up to 1,024), in their order: all or none, whatever crashes. Durable when it
/// returns.
///
/// Blocks: waits for the device. Any thread. Errors: TOO_LARGE beyond a limit, the one of 8 MiB for all topics together
/// included; READ_ONLY; NO_SPACE, IO, PARTITION_FAILED, after which the next open tells whether the changes are made;
/// otherwise as thalweg_key_values_get. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_key_values_write(
    key_values: *mut thalweg_key_values,
    writes: *const thalweg_key_value_write,
    count: usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&KEY_VALUES, key_values, error, |values| {
            let writes = array(writes, count, KEY_VALUE_BATCH_MAX, "writes")?.iter().map(|write| {
                let key = write.key.read(KEY_VALUE_KEY_MAX, "key")?.unwrap_or_default();
                Ok(match write.value.read(KEY_VALUE_VALUE_MAX, "value")? {
                    Some(value) => Write::Put(key, value),
                    None => Write::Delete(key),
                })
            });
            Ok(values.batch(&writes.collect::<Answer<Vec<Write<'_>>>>()?)?)
        })
    }
}

/// The keys that begin with a prefix, which may be empty, with their values, in the order of their bytes, as a batch:
/// entries have key and value, and no offset that means something. batch: gets the handle, which is yours to release with
/// thalweg_batch_release; it has no entry if there are none. view: gets what is in it.
///
/// Blocks: the first use reads the values from the device. Any thread. Errors: as thalweg_key_values_get, but NOT_FOUND.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_key_values_list(
    key_values: *mut thalweg_key_values,
    prefix: *const c_void,
    prefix_size: usize,
    batch: *mut *mut thalweg_batch,
    view: *mut thalweg_batch_view,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&KEY_VALUES, key_values, error, |values| {
            let place = Place::check(batch, view)?;
            let listed = values.list(bytes(prefix, prefix_size, KEY_VALUE_KEY_MAX, "prefix")?)?;
            place.put(BatchObject::copied(listed.iter().map(|pair| (&pair.key[..], &pair.value[..]))))
        })
    }
}
