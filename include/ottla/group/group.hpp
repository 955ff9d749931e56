// SPDX-License-Identifier: Apache-2.0
//
// Start here: who reads what (assignors), and how members come to agree on it (GroupCoordinator).
#pragma once

#include <ottla/group/assignors.hpp>
#include <ottla/group/consumer_protocol.hpp>
#include <ottla/group/group_config.hpp>
#include <ottla/group/group_coordinator.hpp>
