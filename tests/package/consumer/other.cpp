// SPDX-License-Identifier: Apache-2.0
#include <ottla/base/base.hpp>

int other();

int other() { return static_cast<int>(ottla::error_code(2)); }
