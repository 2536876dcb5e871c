// Derives one topic from another: each record of the source in capital letters, in the partition of the same number. Every
// derived record carries the offset that it was made from, so that a process which is killed in the middle goes on where the
// last durable one says: none is missing and none is there twice.
//
//     derived STORE SOURCE DERIVED
#include <algorithm>
#include <cctype>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <thalweg.hpp>

namespace {

// Where to go on in the source: behind what the last derived record was made from.
std::uint64_t resume(const thalweg::topic &derived, std::uint32_t partition, std::uint64_t next) {
    if (next == 0) return 0;
    const auto batch = derived.read(partition, next - 1, 1, std::nullopt);
    for (const auto &header : (*batch)[batch->size() - 1].headers())
        if (header.name == "source" && header.value) return std::stoull(std::string(*header.value)) + 1;
    throw std::runtime_error("the last record of the derived topic does not say what it was made from");
}

// Appends records at the offset `next`, and only if nobody else has derived meanwhile: as one batch, there whole or not at
// all. Their headers may make that too large: then in two. How many; a record that is too large by itself is left out.
std::uint64_t append(thalweg::topic &derived, std::uint32_t partition, thalweg::span<thalweg::record> records,
                     std::uint64_t next) {
    try {
        derived.append(records, partition, thalweg::append_options().with_expected_offset(next));
        return records.size();
    } catch (const thalweg::error &failure) {
        if (failure.status() != THALWEG_TOO_LARGE) throw;
        if (records.size() == 1) {
            const auto &source = records[0].headers[0].value;
            std::cerr << "partition " << partition << ", the record at "
                      << std::string_view(static_cast<const char *>(source.data), source.size)
                      << " is left out: " << failure.what() << '\n';
            return 0;
        }
    }
    const std::size_t half = records.size() / 2;
    const auto first = append(derived, partition, {records.data(), half}, next);
    return first + append(derived, partition, {records.data() + half, records.size() - half}, next + first);
}

// Appends what is made of a batch at the offset `next`; how many records.
std::uint64_t append(thalweg::topic &derived, std::uint32_t partition, const thalweg::batch &batch,
                     std::uint64_t next) {
    std::vector<std::string> values, offsets;
    for (const auto record : batch) {
        values.emplace_back(record.value());
        std::transform(values.back().begin(), values.back().end(), values.back().begin(),
                       [](unsigned char c) { return std::toupper(c); });
        offsets.push_back(std::to_string(record.offset()));
    }
    // They point to each other, so none may move any more.
    std::vector<thalweg::header> headers;
    headers.reserve(batch.size());
    std::vector<thalweg::record> records;
    for (std::size_t i = 0; i < batch.size(); i++) {
        headers.emplace_back("source", offsets[i]);
        records.push_back(thalweg::record().with_headers(thalweg::span<thalweg::header>(&headers.back(), 1)));
        if (batch[i].has_key()) records.back().with_key(batch[i].key());
        if (batch[i].has_value()) records.back().with_value(values[i]);
    }
    return append(derived, partition, thalweg::span<thalweg::record>(records), next);
}

// Derives what a partition of the source has; how many records.
std::uint64_t derive(const thalweg::topic &source, thalweg::topic &derived, std::uint32_t partition) {
    const auto next = derived.next_offset(partition);
    auto reader = source.reader(partition, thalweg::start::offset(resume(derived, partition, next)));
    std::uint64_t made = 0;
    while (const auto batch = reader.next(1 << 20, thalweg::milliseconds(0)))
        made += append(derived, partition, *batch, next + made);
    return made;
}

} // namespace

int main(int count, char **arguments) try {
    if (count != 4) {
        std::cerr << "usage: " << arguments[0] << " STORE SOURCE DERIVED\n";
        return 2;
    }
    thalweg::engine engine(arguments[1], thalweg::engine_options().with_no_create());
    const auto source = engine.open_topic(arguments[2]);
    const auto partitions = source.describe().partitions;
    auto derived = engine.open_or_create_topic(arguments[3], thalweg::topic_options(partitions));
    // The source may have got more since.
    if (derived.describe().partitions < partitions) derived.add_partitions(partitions);
    std::uint64_t made = 0;
    for (std::uint32_t partition = 0; partition < partitions; partition++) made += derive(source, derived, partition);
    std::cout << made << " records derived\n";
    engine.close();
} catch (const std::exception &failure) {
    std::cerr << failure.what() << '\n';
    return 1;
}
