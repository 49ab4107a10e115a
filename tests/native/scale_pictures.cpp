// Scales pictures from standard input to standard output: for each, four int32 (width, height, new width, new height),
// then its pixels; out come the pixels of the result. tests/native/test_scale.py runs it on several processors.

#include <cstdio>
#include <vector>

#include "../../edge_sdk/native/scale.hpp"

int main() {
  edge::Scaler scaler;
  int32_t sizes[4];
  while (std::fread(sizes, sizeof(sizes), 1, stdin) == 1) {
    const auto [width, height, new_width, new_height] = sizes;
    std::vector<uint8_t> pixels(3 * static_cast<size_t>(width) * static_cast<size_t>(height));
    if (std::fread(pixels.data(), 1, pixels.size(), stdin) != pixels.size()) return 1;
    scaler.run(pixels.data(), 3 * width, width, height, new_width, new_height, [&](int, const uint8_t* row) {
      std::fwrite(row, 1, 3 * static_cast<size_t>(new_width), stdout);
    });
  }
  return 0;
}
