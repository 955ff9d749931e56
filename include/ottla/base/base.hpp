// SPDX-License-Identifier: Apache-2.0
//
// Words that every folder uses; no I/O, no threads.
#pragma once

#include <ottla/base/bytes.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/shared_bytes.hpp>
#include <ottla/base/status.hpp>
#include <ottla/base/time.hpp>
#include <ottla/base/topic_partition.hpp>
#include <ottla/base/units.hpp>
