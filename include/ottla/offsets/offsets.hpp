// SPDX-License-Identifier: Apache-2.0
//
// Start here: where a consumer stands (OffsetTracker), and what groups have committed
// (OffsetStore).
#pragma once

#include <ottla/offsets/offset_records.hpp>
#include <ottla/offsets/offset_store.hpp>
#include <ottla/offsets/offset_tracker.hpp>
#include <ottla/offsets/offsets_config.hpp>
