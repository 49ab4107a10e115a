// edge_sdk._native: one ExecuTorch program behind one class, and the scaling of pictures.
//
// The picture comes in as uint8 (H, W, 3); scale, normalise and layout are one pass from the caller's pixels into the
// input tensor's own memory. The interpreter lock is released while the network runs.

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>

#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor.h>
#include <executorch/extension/threadpool/threadpool_guard.h>
#include <executorch/runtime/backend/options.h>
#include <executorch/runtime/platform/platform.h>

#include "scale.hpp"

// The wheel ships the pool's library and not its header: these are the three members used here.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  size_t get_thread_count() const;
  bool _unsafe_reset_threadpool(uint32_t new_thread_count);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

namespace nb = nanobind;
using namespace nb::literals;
namespace et = executorch::runtime;
namespace ex = executorch::extension;
using executorch::aten::ScalarType;
using executorch::extension::threadpool::get_threadpool;
using executorch::extension::threadpool::NoThreadPoolGuard;

namespace {

constexpr size_t kLongest = 1 << 23;  // pixels a side for which the weights' sums fit in 64 bits

using Pixels = nb::ndarray<const uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Logits = nb::ndarray<nb::numpy, float, nb::ndim<1>>;
using View = nb::ndarray<const uint8_t, nb::ndim<3>, nb::device::cpu>;
using Scaled = nb::ndarray<nb::numpy, uint8_t, nb::ndim<3>>;

// What ExecuTorch says of its own failure ("Missing operator: ...") goes to its log only. Inside our calls it is
// collected for the exception's message; elsewhere in the process the log stays as it was.
thread_local std::string* failure_log = nullptr;
pal_emit_log_message_method default_log = nullptr;

void collect_log(et_timestamp_t timestamp, et_pal_log_level_t level, const char* file, const char* function, size_t line,
                 const char* message, size_t length) {
  if (failure_log == nullptr) {
    default_log(timestamp, level, file, function, line, message, length);
  } else if (level == kError || level == kFatal) {
    if (!failure_log->empty()) failure_log->append("; ");
    for (size_t i = 0; i < length; ++i) {  // it may quote bytes of a damaged file
      const char c = message[i];
      failure_log->push_back(c >= ' ' && c <= '~' ? c : '?');
    }
  }
}

class LogScope {
 public:
  LogScope() { failure_log = &text_; }
  ~LogScope() { failure_log = nullptr; }
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;

  void check(et::Error error, const std::string& doing) const {
    if (error != et::Error::Ok) {
      throw std::runtime_error(doing + ": ExecuTorch's " + et::to_string(error) +
                               (text_.empty() ? "" : " (" + text_ + ")"));
    }
  }

 private:
  std::string text_;
};

// ExecuTorch has one thread pool per process, and a loaded network keeps a pointer to it. It may therefore be resized
// only while no network uses it. A network with one thread never touches it.
class PoolShare {
 public:
  explicit PoolShare(int threads) : holds_(threads > 1) {
    if (!holds_) return;
    const std::lock_guard lock(mutex_);
    const LogScope log;
    auto* pool = get_threadpool();
    const int size = static_cast<int>(pool->get_thread_count());
    if (size != threads) {
      if (users_ > 0) {
        throw std::invalid_argument("threads: expected 1 or " + std::to_string(size) +
                                    ", the size of the pool that another open network of this process uses; got " +
                                    std::to_string(threads));
      }
      pool->_unsafe_reset_threadpool(static_cast<uint32_t>(threads));
    }
    ++users_;
  }
  ~PoolShare() {
    if (!holds_) return;
    const std::lock_guard lock(mutex_);
    --users_;
  }
  PoolShare(const PoolShare&) = delete;
  PoolShare& operator=(const PoolShare&) = delete;

 private:
  static inline std::mutex mutex_;
  static inline int users_ = 0;
  bool holds_;
};

// Within this scope the calling thread works alone where the network has one thread.
class ThreadScope {
 public:
  explicit ThreadScope(int threads) : before_(NoThreadPoolGuard::is_enabled()) {
    NoThreadPoolGuard::set_enabled(threads == 1);
  }
  ~ThreadScope() { NoThreadPoolGuard::set_enabled(before_); }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  bool before_;
};

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define EDGE_VECTORISED __attribute__((target_clones("avx2", "default")))
#else
#define EDGE_VECTORISED
#endif

EDGE_VECTORISED
void to_planes(const uint8_t* __restrict pixels, float* __restrict red, float* __restrict green, float* __restrict blue,
               size_t count, const float* __restrict scale, const float* __restrict shift) {
  const float s0 = scale[0], s1 = scale[1], s2 = scale[2], b0 = shift[0], b1 = shift[1], b2 = shift[2];
  for (size_t i = 0; i < count; ++i) {
    red[i] = static_cast<float>(pixels[3 * i]) * s0 + b0;
    green[i] = static_cast<float>(pixels[3 * i + 1]) * s1 + b1;
    blue[i] = static_cast<float>(pixels[3 * i + 2]) * s2 + b2;
  }
}

EDGE_VECTORISED
void to_interleaved(const uint8_t* __restrict pixels, float* __restrict out, size_t count, const float* __restrict scale,
                    const float* __restrict shift) {
  constexpr size_t block = 48;  // a whole number of pixels and of vectors
  float s[block], b[block];
  for (size_t i = 0; i < block; ++i) {
    s[i] = scale[i % 3];
    b[i] = shift[i % 3];
  }
  const size_t size = 3 * count;
  size_t start = 0;
  for (; start + block <= size; start += block) {
    for (size_t i = 0; i < block; ++i) out[start + i] = static_cast<float>(pixels[start + i]) * s[i] + b[i];
  }
  for (size_t i = start; i < size; ++i) out[i] = static_cast<float>(pixels[i]) * s[i % 3] + b[i % 3];
}

// A picture whose rows are contiguous, as a cut out of a larger one has them.
void check_view(const View& pixels) {
  const bool shaped = pixels.shape(0) > 0 && pixels.shape(1) > 0 && pixels.shape(2) == 3;
  if (!shaped || std::max(pixels.shape(0), pixels.shape(1)) > kLongest || pixels.stride(2) != 1 ||
      (pixels.shape(1) > 1 && pixels.stride(1) != 3)) {
    throw std::invalid_argument("expected uint8 (height, width, 3) with contiguous rows; got (" +
                                std::to_string(pixels.shape(0)) + ", " + std::to_string(pixels.shape(1)) + ", " +
                                std::to_string(pixels.shape(2)) + ") with strides (" +
                                std::to_string(pixels.stride(0)) + ", " + std::to_string(pixels.stride(1)) + ", " +
                                std::to_string(pixels.stride(2)) + ")");
  }
}

Scaled scale(const View& pixels, size_t width, size_t height) {
  check_view(pixels);
  if (width < 1 || height < 1 || std::max(width, height) > kLongest) {
    throw std::invalid_argument("expected a size of 1 to " + std::to_string(kLongest) + " pixels a side; got " +
                                std::to_string(width) + "x" + std::to_string(height));
  }
  std::unique_ptr<uint8_t[]> made(new uint8_t[3 * width * height]);
  {
    const nb::gil_scoped_release release;
    thread_local edge::Scaler scaler;
    scaler.run(pixels.data(), static_cast<ptrdiff_t>(pixels.stride(0)), static_cast<int>(pixels.shape(1)),
               static_cast<int>(pixels.shape(0)), static_cast<int>(width), static_cast<int>(height),
               [&](int y, const uint8_t* row) { std::memcpy(made.get() + 3 * width * static_cast<size_t>(y), row, 3 * width); });
  }
  uint8_t* data = made.release();
  const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<uint8_t*>(p); });
  return Scaled(data, {height, width, 3}, owner);
}

std::string text_of(executorch::aten::ArrayRef<int32_t> sizes) {
  std::string text = "(";
  for (size_t i = 0; i < sizes.size(); ++i) text += (i ? ", " : "") + std::to_string(sizes[i]);
  return text + ")";
}

class Program {
 public:
  Program(const std::string& path, std::array<float, 3> mean, std::array<float, 3> std, int threads)
      : threads_(checked(threads)), pool_(threads) {
    for (size_t c = 0; c < 3; ++c) {
      if (!(std[c] > 0)) throw std::invalid_argument("std: expected positive numbers; got " + std::to_string(std[c]));
      scale_[c] = 1.0f / (255.0f * std[c]);
      shift_[c] = -mean[c] / std[c];
    }
    const nb::gil_scoped_release release;
    const ThreadScope scope(threads_);
    const LogScope log;
    module_ = std::make_unique<ex::Module>(path, ex::Module::LoadMode::Mmap);
    // Own scratch memory per network: networks of one process then need no common lock.
    et::BackendOptions<1> options;
    log.check(options.set_option("workspace_sharing_mode", 1), "backend options");
    et::LoadBackendOptionsMap map;
    log.check(map.set_options("XnnpackBackend", options.view()), "backend options");
    log.check(module_->load(map, et::Program::Verification::InternalConsistency), "cannot load " + path);
    const auto names = module_->method_names();
    log.check(names.error(), "cannot read the methods of " + path);
    if (!names->contains("forward")) {
      std::string found;
      for (const auto& name : *names) found += (found.empty() ? "" : ", ") + name;
      throw std::runtime_error(path + ": expected a method \"forward\"; got " + (found.empty() ? "none" : found));
    }
    log.check(module_->load_method("forward"), "cannot load \"forward\" of " + path);
    const auto method = module_->method("forward");
    log.check(method.error(), "cannot load \"forward\" of " + path);
    method_ = *method;
    bind_input(path, log);
    bind_output(path, log);
  }

  Logits forward(const Pixels& pixels) {
    if (pixels.shape(0) != height_ || pixels.shape(1) != width_ || pixels.shape(2) != 3) {
      throw std::invalid_argument("expected uint8 (" + std::to_string(height_) + ", " + std::to_string(width_) +
                                  ", 3); got (" + std::to_string(pixels.shape(0)) + ", " +
                                  std::to_string(pixels.shape(1)) + ", " + std::to_string(pixels.shape(2)) + ")");
    }
    return run([&] { put(pixels.data(), 0, height_ * width_); });
  }

  // A picture of any size, scaled into the part (left, top, width, height) of the input; around it `fill`.
  Logits forward_scaled(const View& pixels, std::array<size_t, 4> part, std::array<uint8_t, 3> fill) {
    check_view(pixels);
    const auto [left, top, width, height] = part;
    if (width < 1 || height < 1 || width > width_ || height > height_ || left > width_ - width ||
        top > height_ - height) {
      throw std::invalid_argument("expected a part of an input of " + std::to_string(width_) + "x" +
                                  std::to_string(height_) + "; got " + std::to_string(width) + "x" +
                                  std::to_string(height) + " at (" + std::to_string(left) + ", " +
                                  std::to_string(top) + ")");
    }
    return run([&] {
      if (width != width_ || height != height_) put_all(fill);
      scaler_.run(pixels.data(), static_cast<ptrdiff_t>(pixels.stride(0)), static_cast<int>(pixels.shape(1)),
                  static_cast<int>(pixels.shape(0)), static_cast<int>(width), static_cast<int>(height),
                  [&](int y, const uint8_t* row) {
                    put(row, (top + static_cast<size_t>(y)) * width_ + left, width);
                  });
    });
  }

  int threads() const { return threads_; }
  size_t width() const { return width_; }
  size_t height() const { return height_; }
  size_t outputs() const { return outputs_; }
  const char* layout() const { return planes_ ? "NCHW" : "NHWC"; }

 private:
  template <class FillInput>
  Logits run(FillInput fill_input) {
    auto logits = std::make_unique<float[]>(outputs_);
    {
      const nb::gil_scoped_release release;
      const std::lock_guard lock(mutex_);
      const ThreadScope scope(threads_);
      const LogScope log;
      fill_input();
      log.check(method_->execute(), "cannot run the network");
      const auto tensor = method_->get_output(0).toTensor();
      std::memcpy(logits.get(), tensor.const_data_ptr<float>(), outputs_ * sizeof(float));
    }
    float* data = logits.release();
    const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<float*>(p); });
    return Logits(data, {outputs_}, owner);
  }

  // `count` pixels into the input, from its pixel `at` on.
  void put(const uint8_t* pixels, size_t at, size_t count) {
    const size_t plane = height_ * width_;
    if (planes_) {
      float* red = input_ + at;
      to_planes(pixels, red, red + plane, red + 2 * plane, count, scale_.data(), shift_.data());
    } else {
      to_interleaved(pixels, input_ + 3 * at, count, scale_.data(), shift_.data());
    }
  }

  void put_all(std::array<uint8_t, 3> pixel) {
    std::vector<uint8_t> row(3 * width_);
    for (size_t i = 0; i < row.size(); ++i) row[i] = pixel[i % 3];
    for (size_t y = 0; y < height_; ++y) put(row.data(), y * width_, width_);
  }

  static int checked(int threads) {
    if (threads < 1 || threads > 64) {
      throw std::invalid_argument("threads: expected 1 to 64; got " + std::to_string(threads));
    }
    return threads;
  }

  void bind_input(const std::string& path, const LogScope& log) {
    if (method_->inputs_size() != 1 || !method_->get_input(0).isTensor()) {
      throw std::runtime_error(path + ": expected one input, a picture; got " + std::to_string(method_->inputs_size()));
    }
    const auto planned = method_->get_input(0).toTensor();
    const auto sizes = planned.sizes();
    const auto order = planned.dim_order();
    const bool picture = planned.scalar_type() == ScalarType::Float && sizes.size() == 4 && sizes[0] == 1;
    // Logical (1, 3, H, W) in either memory format, or logical (1, H, W, 3).
    const bool channels_second = picture && sizes[1] == 3;
    const bool channels_last = picture && !channels_second && sizes[3] == 3 && order[1] == 1;
    if (!channels_second && !channels_last) {
      throw std::runtime_error(path + ": expected a float32 input of shape (1, 3, H, W) or (1, H, W, 3); got " +
                               executorch::runtime::toString(planned.scalar_type()) + " " + text_of(sizes));
    }
    height_ = static_cast<size_t>(sizes[channels_second ? 2 : 1]);
    width_ = static_cast<size_t>(sizes[channels_second ? 3 : 2]);
    planes_ = channels_second && order[1] == 1;
    // Set once: memory that was planned for the input is kept, memory that was not becomes `spare_`.
    spare_.assign(static_cast<size_t>(planned.numel()), 0.0f);
    const auto tensor = ex::make_tensor_ptr(std::vector<executorch::aten::SizesType>(sizes.begin(), sizes.end()),
                                            spare_.data(),
                                            std::vector<executorch::aten::DimOrderType>(order.begin(), order.end()), {});
    log.check(method_->set_input(et::EValue(*tensor), 0), "cannot set the input of " + path);
    input_ = method_->mutable_input(0).toTensor().mutable_data_ptr<float>();
    if (input_ != spare_.data()) std::vector<float>().swap(spare_);
  }

  void bind_output(const std::string& path, const LogScope& log) {
    if (method_->outputs_size() != 1 || !method_->get_output(0).isTensor()) {
      throw std::runtime_error(path + ": expected one output, the logits; got " +
                               std::to_string(method_->outputs_size()));
    }
    const auto tensor = method_->get_output(0).toTensor();
    if (tensor.scalar_type() != ScalarType::Float || tensor.dim() != 2 || tensor.size(0) != 1) {
      throw std::runtime_error(path + ": expected a float32 output of shape (1, C); got " +
                               executorch::runtime::toString(tensor.scalar_type()) + " " + text_of(tensor.sizes()));
    }
    outputs_ = static_cast<size_t>(tensor.numel());
    if (tensor.const_data_ptr() == nullptr) {
      result_.assign(outputs_, 0.0f);
      log.check(method_->set_output_data_ptr(result_.data(), outputs_ * sizeof(float), 0),
                "cannot set the output of " + path);
    }
  }

  int threads_;
  PoolShare pool_;  // before the module: the network must be gone when the pool becomes free
  std::array<float, 3> scale_{}, shift_{};
  std::vector<float> spare_, result_;
  std::unique_ptr<ex::Module> module_;
  et::Method* method_ = nullptr;
  float* input_ = nullptr;
  size_t height_ = 0, width_ = 0, outputs_ = 0;
  bool planes_ = true;
  edge::Scaler scaler_;
  std::mutex mutex_;
};

}  // namespace

NB_MODULE(_native, module) {
  default_log = et::get_pal_impl()->emit_log_message;
  {
    const LogScope unheard;  // the executorch package, where it is loaded too, has registered its own: that is logged
    et::register_pal(et::PalImpl::create(collect_log, "edge_sdk._native"));
  }

  module.def("scale", &scale, nb::arg("pixels").noconvert(), "width"_a, "height"_a);
  nb::class_<Program>(module, "Program", "One loaded .pte program: uint8 pixels in, float32 logits out.")
      .def(nb::init<const std::string&, std::array<float, 3>, std::array<float, 3>, int>(), "path"_a, "mean"_a, "std"_a,
           "threads"_a = 1)
      .def("forward", &Program::forward, nb::arg("pixels").noconvert())
      .def("forward_scaled", &Program::forward_scaled, nb::arg("pixels").noconvert(), "part"_a, "fill"_a)
      .def_prop_ro("threads", &Program::threads)
      .def_prop_ro("width", &Program::width)
      .def_prop_ro("height", &Program::height)
      .def_prop_ro("outputs", &Program::outputs)
      .def_prop_ro("layout", &Program::layout);
}
