// SPDX-License-Identifier: Apache-2.0
//
// What most programs need: a broker in this process, producers, consumers, the admin, and their
// configurations. Each part can be included alone; the README's program shows all three at work.
#pragma once

#include <ottla/admin/admin.hpp>
#include <ottla/broker/broker.hpp>
#include <ottla/consumer/consumer.hpp>
#include <ottla/producer/producer.hpp>
