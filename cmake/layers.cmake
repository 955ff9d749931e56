# SPDX-License-Identifier: Apache-2.0
#
# The folders of include/ottla, lowest first, each with the folders it stands on. A folder includes
# itself and what it stands on, directly or through others, and nothing else: tests/tidy checks
# every #include against this list. What a folder stands on is declared above it, so there is no
# way round in a circle. Folders that do not exist yet are skipped.
set(OTTLA_LAYERS
    "base:"
    "env: base"
    "record: base"
    "index: env"
    "segment: record index"
    "log: segment"
    "protocol: env record"
    "offsets: protocol"
    "group: offsets"
    "transaction: protocol"
    "metadata: protocol"
    "producer: protocol"
    "consumer: protocol offsets group"
    "admin: protocol group"
    "broker: log offsets group transaction metadata admin"
    "cluster: broker admin"
    "sim: cluster producer consumer"
    "schema: record"
    "streams: producer consumer admin"
    "connect: producer consumer admin"
    "wire: broker"
    "remote: producer consumer admin"
)

# The rule machines: no header that they reach may come from these folders, not even through others.
set(OTTLA_RULE_MACHINES offsets group transaction metadata)
set(OTTLA_BEHIND_THE_WALL env log)

# Libraries from outside. The ones called ottla::with_* are optional (cmake/dependencies.cmake).
set(OTTLA_LIBRARIES_base
    absl::any_invocable absl::hash absl::status absl::statusor absl::strings
    Threads::Threads)
set(OTTLA_LIBRARIES_record
    ottla::xxhash ottla::with_lz4 ottla::with_snappy ottla::with_zlib ottla::with_zstd)
set(OTTLA_LIBRARIES_group absl::btree)
