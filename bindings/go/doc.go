// Package thalweg is an embedded stream storage engine: topics of partitioned, append-only, durable logs, with
// consumers, inside your program. It wraps the C interface of the engine, thalweg.h, and nothing else.
//
// An [Engine] is a store that is open. A [Topic] is appended to, by [Topic.Append], which returns when the records
// are durable, or by [Topic.Submit], which answers a [Ticket]. A [Consumer] reads any number of topics as one, batch
// by batch, and remembers under a name where it was.
//
// # Contexts
//
// A call that takes a context returns as soon as the context ends. Goroutines that wait for records, for room, for
// acknowledgements or for events cost no thread. Calls that change topics, commit positions or use key-values wait
// for the device in a thread; when their context ends, they go on behind the caller, so that nobody knows whether
// they succeed.
//
// # Memory
//
// Records that are appended are copied during the call. Keys, values and headers of records that are read lie in the
// memory of the engine, until [Batch.Release]; [Record.Clone] keeps them. A batch that is never released keeps its
// memory for good: [Metrics.MemoryPins] shows it. Everything else that is dropped without Close is closed when it is
// collected, at some time.
//
// # Goroutines
//
// Everything may be used by any number of goroutines at once. Those that poll one consumer take turns.
package thalweg
