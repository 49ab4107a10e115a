// Scaling of pictures in integers alone: the same pixels on every processor.
//
// `edge_sdk/images/scale.py` states the rule and computes the same in numpy. A picture passes through one row of 16-bit
// values at a time; nothing of the picture's size is set aside. Depends on the standard library only.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#if defined(EDGE_PLAIN)  // without vectors, to test that
#elif defined(__x86_64__)
#define EDGE_AVX2
#include <immintrin.h>
#elif defined(__aarch64__)
#define EDGE_NEON
#include <arm_neon.h>
#endif

namespace edge {

constexpr int kWeightBits = 14;  // the weights of an output pixel sum to 1 << 14
constexpr int kRowBits = 7;      // fraction bits of the row between the passes: 255 << 7 fits in 16 bits
constexpr int kDownBits = kWeightBits - kRowBits;
constexpr int kAcrossBits = kWeightBits + kRowBits;

#if defined(EDGE_NEON)
constexpr int kAcrossTaps = 4;  // taps that the second pass takes at a time
#else
constexpr int kAcrossTaps = 2;
#endif

// The weights along one axis, from `from` pixels to `to`: `taps` for each output pixel, the first for input pixel `first`.
struct Axis {
  int from = 0, to = 0, taps = 0;
  std::vector<int32_t> first;
  std::vector<int16_t> weights;  // (to, taps); zeros where an output pixel has fewer

  // `multiple`: `taps` is rounded up to a multiple of it.
  void prepare(int new_from, int new_to, int multiple) {
    if (from == new_from && to == new_to) return;
    from = to = 0;  // if memory runs out below, the next call begins anew
    const int64_t m = new_from, n = new_to;
    first.resize(static_cast<size_t>(n));
    std::vector<int32_t> last(static_cast<size_t>(n));
    int64_t most = 1;
    for (int64_t i = 0; i < n; ++i) {
      int64_t begin, end;  // of the input pixels with a positive weight
      if (m >= n) {
        begin = i * m / n;
        end = ((i + 1) * m + n - 1) / n;
      } else {
        begin = std::max<int64_t>(floor_of((2 * i + 1) * m - 3 * n, 2 * n) + 1, 0);
        end = std::min(floor_of((2 * i + 1) * m + n - 1, 2 * n) + 1, m);
      }
      first[static_cast<size_t>(i)] = static_cast<int32_t>(begin);
      last[static_cast<size_t>(i)] = static_cast<int32_t>(end);
      most = std::max(most, end - begin);
    }
    taps = static_cast<int>((most + multiple - 1) / multiple * multiple);
    weights.assign(static_cast<size_t>(n) * static_cast<size_t>(taps), 0);
    std::vector<int64_t> raw(static_cast<size_t>(most));
    for (int64_t i = 0; i < n; ++i) {
      const int64_t begin = first[static_cast<size_t>(i)], count = last[static_cast<size_t>(i)] - begin;
      int64_t sum = 0;
      for (int64_t k = 0; k < count; ++k) {
        const int64_t j = begin + k;
        const int64_t distance = (2 * j + 1) * n - (2 * i + 1) * m;
        sum += m >= n ? std::min((j + 1) * n, (i + 1) * m) - std::max(j * n, i * m)
                      : 2 * n - (distance < 0 ? -distance : distance);
        raw[static_cast<size_t>(k)] = sum;
      }
      // Rounded running sums: their differences sum to exactly 1 << kWeightBits.
      int64_t before = 0;
      int16_t* out = weights.data() + i * taps;
      for (int64_t k = 0; k < count; ++k) {
        const int64_t now = ((raw[static_cast<size_t>(k)] << (kWeightBits + 1)) + sum) / (2 * sum);
        out[k] = static_cast<int16_t>(now - before);
        before = now;
      }
    }
    from = new_from;
    to = new_to;
  }

 private:
  static int64_t floor_of(int64_t a, int64_t b) { return a / b - (a % b != 0 && a < 0); }
};

// Both passes, each in plain C++ and for the processors that are met most.
namespace passes {

// One row of the picture's height: out[x] = (sum of weights[k] * row k [x] + half) >> kDownBits.
// `rows`: taps pointers, a multiple of 2.
inline void down_plain(const uint8_t* const* rows, const int16_t* weights, int taps, size_t begin, size_t count,
                       int16_t* __restrict out) {
  for (size_t x = begin; x < count; ++x) {
    int32_t sum = 1 << (kDownBits - 1);
    for (int k = 0; k < taps; ++k) sum += weights[k] * rows[k][x];
    out[x] = static_cast<int16_t>(sum >> kDownBits);
  }
}

// One row of the result: for each output pixel and channel (sum of weights[k] * row[first + k] + half) >> kAcrossBits.
inline void across_plain(const int16_t* __restrict row, const Axis& axis, uint8_t* __restrict out) {
  for (size_t i = 0; i < static_cast<size_t>(axis.to); ++i) {
    const int16_t* pixel = row + 3 * axis.first[i];
    const int16_t* weights = axis.weights.data() + i * static_cast<size_t>(axis.taps);
    int32_t red = 1 << (kAcrossBits - 1), green = red, blue = red;
    for (int k = 0; k < axis.taps; ++k, pixel += 3) {
      red += weights[k] * pixel[0];
      green += weights[k] * pixel[1];
      blue += weights[k] * pixel[2];
    }
    out[3 * i] = static_cast<uint8_t>(red >> kAcrossBits);
    out[3 * i + 1] = static_cast<uint8_t>(green >> kAcrossBits);
    out[3 * i + 2] = static_cast<uint8_t>(blue >> kAcrossBits);
  }
}

#if defined(EDGE_AVX2)

// `kTaps`: the number of rows, or 0 for any.
template <int kTaps>
__attribute__((target("avx2"))) inline void down_avx2(const uint8_t* const* rows, const int16_t* weights, int any_taps,
                                                      size_t count, int16_t* __restrict out) {
  const int taps = kTaps ? kTaps : any_taps;
  const __m256i zero = _mm256_setzero_si256(), half = _mm256_set1_epi32(1 << (kDownBits - 1));
  size_t x = 0;
  for (; x + 32 <= count; x += 32) {
    __m256i s0 = half, s1 = half, s2 = half, s3 = half;
    for (int k = 0; k < taps; k += 2) {
      const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[k] + x));
      const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[k + 1] + x));
      const __m256i w = _mm256_set1_epi32(static_cast<uint16_t>(weights[k]) | (weights[k + 1] << 16));
      const __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
      s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(_mm256_unpacklo_epi8(low, zero), w));
      s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(_mm256_unpackhi_epi8(low, zero), w));
      s2 = _mm256_add_epi32(s2, _mm256_madd_epi16(_mm256_unpacklo_epi8(high, zero), w));
      s3 = _mm256_add_epi32(s3, _mm256_madd_epi16(_mm256_unpackhi_epi8(high, zero), w));
    }
    // Lanes of 128 bits: s0 holds bytes 0-3 and 16-19, s1 4-7 and 20-23, and so on.
    const __m256i low = _mm256_packs_epi32(_mm256_srai_epi32(s0, kDownBits), _mm256_srai_epi32(s1, kDownBits));
    const __m256i high = _mm256_packs_epi32(_mm256_srai_epi32(s2, kDownBits), _mm256_srai_epi32(s3, kDownBits));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + x), _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + x + 16), _mm256_permute2x128_si256(low, high, 0x31));
  }
  down_plain(rows, weights, taps, x, count, out);
}

// `spread`: the weights as the multiplication takes them, 16 values for 2 taps of 2 pixels; the pixels' number is rounded
// up to a multiple of 8. Reads up to 2 values past the last tap and writes up to 28 bytes past the row.
// `kTaps`: of the axis, or 0 for any number.
template <int kTaps>
__attribute__((target("avx2"))) inline void across_avx2(const int16_t* __restrict row, const Axis& axis,
                                                        const int16_t* __restrict spread, uint8_t* __restrict out) {
  // Two pixels (r0 g0 b0 r1 g1 b1 . .) as (r0 r1 g0 g1 b0 b1 0 0), in both halves.
  const __m256i pairs = _mm256_setr_epi8(0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, -1, -1, -1, -1, 0, 1, 6, 7, 2, 3, 8, 9, 4,
                                         5, 10, 11, -1, -1, -1, -1);
  const __m256i half = _mm256_set1_epi32(1 << (kAcrossBits - 1));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i close = _mm256_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1, 0, 1, 2, 4, 5, 6, 8, 9,
                                         10, 12, 13, 14, -1, -1, -1, -1);
  const int32_t* first = axis.first.data();  // padded likewise
  const int taps = kTaps ? kTaps : axis.taps;
  for (int i = 0; i < axis.to; i += 8, first += 8, out += 24) {
    __m256i two[4];
    for (int p = 0; p < 4; ++p) {
      const int16_t* left = row + 3 * first[2 * p];
      const int16_t* right = row + 3 * first[2 * p + 1];
      __m256i sum = half;
      for (int k = 0; k < taps; k += 2, left += 6, right += 6, spread += 16) {
        const __m256i source = _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(right),
                                                   reinterpret_cast<const __m128i*>(left));
        const __m256i w = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(spread));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_shuffle_epi8(source, pairs), w));
      }
      two[p] = _mm256_srai_epi32(sum, kAcrossBits);
    }
    const __m256i bytes =
        _mm256_packus_epi16(_mm256_packs_epi32(two[0], two[1]), _mm256_packs_epi32(two[2], two[3]));
    const __m256i closed = _mm256_shuffle_epi8(_mm256_permutevar8x32_epi32(bytes, order), close);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm256_castsi256_si128(closed));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 12), _mm256_extracti128_si256(closed, 1));
  }
}

#elif defined(EDGE_NEON)

inline void down_neon(const uint8_t* const* rows, const int16_t* weights, int taps, size_t count,
                      int16_t* __restrict out) {
  size_t x = 0;
  for (; x + 16 <= count; x += 16) {
    uint32x4_t s0 = vdupq_n_u32(0), s1 = s0, s2 = s0, s3 = s0;
    for (int k = 0; k < taps; ++k) {
      const uint8x16_t bytes = vld1q_u8(rows[k] + x);
      const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
      const uint16_t w = static_cast<uint16_t>(weights[k]);
      s0 = vmlal_n_u16(s0, vget_low_u16(low), w);
      s1 = vmlal_high_n_u16(s1, low, w);
      s2 = vmlal_n_u16(s2, vget_low_u16(high), w);
      s3 = vmlal_high_n_u16(s3, high, w);
    }
    uint16_t* to = reinterpret_cast<uint16_t*>(out + x);
    vst1q_u16(to, vcombine_u16(vrshrn_n_u32(s0, kDownBits), vrshrn_n_u32(s1, kDownBits)));
    vst1q_u16(to + 8, vcombine_u16(vrshrn_n_u32(s2, kDownBits), vrshrn_n_u32(s3, kDownBits)));
  }
  down_plain(rows, weights, taps, x, count, out);
}

inline void across_neon(const int16_t* __restrict row, const Axis& axis, uint8_t* __restrict out) {
  const int16_t* weights = axis.weights.data();
  for (size_t i = 0; i < static_cast<size_t>(axis.to); ++i) {
    const int16_t* pixel = row + 3 * axis.first[i];
    int32x4_t red = vdupq_n_s32(0), green = red, blue = red;
    for (int k = 0; k < axis.taps; k += 4, pixel += 12, weights += 4) {
      const int16x4x3_t four = vld3_s16(pixel);
      const int16x4_t w = vld1_s16(weights);
      red = vmlal_s16(red, four.val[0], w);
      green = vmlal_s16(green, four.val[1], w);
      blue = vmlal_s16(blue, four.val[2], w);
    }
    constexpr int32_t half = 1 << (kAcrossBits - 1);
    out[3 * i] = static_cast<uint8_t>((vaddvq_s32(red) + half) >> kAcrossBits);
    out[3 * i + 1] = static_cast<uint8_t>((vaddvq_s32(green) + half) >> kAcrossBits);
    out[3 * i + 2] = static_cast<uint8_t>((vaddvq_s32(blue) + half) >> kAcrossBits);
  }
}

#endif

}  // namespace passes

// Scales one picture after another; weights are kept as long as the sizes stay. Not for two threads at once.
class Scaler {
 public:
  // The picture `pixels` (height rows of width RGB pixels, `stride` bytes apart) at another size. `take(y, row)` is called
  // with each row of the result in turn: 3 * new_width bytes.
  template <class Take>
  void run(const uint8_t* pixels, ptrdiff_t stride, int width, int height, int new_width, int new_height, Take take) {
    if (width == new_width && height == new_height) {
      for (int y = 0; y < height; ++y) take(y, pixels + y * stride);
      return;
    }
    down_.prepare(height, new_height, 2);
    if (across_.from != width || across_.to != new_width) {
      spread_.clear();
      across_.prepare(width, new_width, kAcrossTaps);
    }
    const bool wide = has_avx2();
    if (wide && spread_.empty()) spread();
    const size_t size = 3 * static_cast<size_t>(width);
    between_.resize(size + 3 * static_cast<size_t>(across_.taps) + 16);
    result_.resize(3 * static_cast<size_t>(new_width) + 32);
    rows_.resize(static_cast<size_t>(down_.taps));
    for (int y = 0; y < new_height; ++y) {
      const int16_t* weights = down_.weights.data() + static_cast<size_t>(y) * static_cast<size_t>(down_.taps);
      for (int k = 0; k < down_.taps; ++k) {  // taps past the end weigh nothing
        rows_[static_cast<size_t>(k)] = pixels + std::min(down_.first[static_cast<size_t>(y)] + k, height - 1) * stride;
      }
#if defined(EDGE_AVX2)
      if (wide) {
        const auto down = down_.taps == 2 ? passes::down_avx2<2> : passes::down_avx2<0>;
        down(rows_.data(), weights, down_.taps, size, between_.data());
        const auto across = across_.taps == 2   ? passes::across_avx2<2>
                            : across_.taps == 4 ? passes::across_avx2<4>
                                                : passes::across_avx2<0>;
        across(between_.data(), across_, spread_.data(), result_.data());
        take(y, static_cast<const uint8_t*>(result_.data()));
        continue;
      }
#endif
#if defined(EDGE_NEON)
      passes::down_neon(rows_.data(), weights, down_.taps, size, between_.data());
      passes::across_neon(between_.data(), across_, result_.data());
#else
      passes::down_plain(rows_.data(), weights, down_.taps, 0, size, between_.data());
      passes::across_plain(between_.data(), across_, result_.data());
#endif
      take(y, static_cast<const uint8_t*>(result_.data()));
    }
  }

 private:
  static bool has_avx2() {
#if defined(EDGE_AVX2)
    return __builtin_cpu_supports("avx2");
#else
    return false;
#endif
  }

  void spread() {
    const size_t taps = static_cast<size_t>(across_.taps), count = (across_.first.size() + 7) / 8 * 8;
    across_.first.resize(count, 0);
    across_.weights.resize(count * taps, 0);
    spread_.resize(8 * count * taps);
    int16_t* out = spread_.data();
    for (size_t i = 0; i < count; i += 2) {
      for (size_t k = 0; k < taps; k += 2) {
        for (size_t side = 0; side < 2; ++side, out += 8) {
          const int16_t* pair = across_.weights.data() + (i + side) * taps + k;
          for (size_t lane = 0; lane < 8; ++lane) out[lane] = lane < 6 ? pair[lane % 2] : int16_t{0};
        }
      }
    }
  }

  Axis down_, across_;
  std::vector<int16_t> spread_, between_;
  std::vector<uint8_t> result_;
  std::vector<const uint8_t*> rows_;
};

}  // namespace edge
