// SPDX-License-Identifier: Apache-2.0
//
// Start here: what clients ask of brokers, as plain structs with Kafka's names, and the seam that
// they go through. The words of a rule machine are in decision.hpp.
#pragma once

#include <ottla/protocol/classic_group.hpp>
#include <ottla/protocol/connection.hpp>
#include <ottla/protocol/delete_records.hpp>
#include <ottla/protocol/fetch.hpp>
#include <ottla/protocol/groups.hpp>
#include <ottla/protocol/init_producer_id.hpp>
#include <ottla/protocol/list_offsets.hpp>
#include <ottla/protocol/metadata.hpp>
#include <ottla/protocol/offsets.hpp>
#include <ottla/protocol/produce.hpp>
#include <ottla/protocol/topics.hpp>
