"""A real RTSP camera: GStreamer's server. Run by the system's Python, which has its bindings (python3-gi).

/usr/bin/python3 gst_rtsp_server.py PORT PATTERN CODEC, h264, h265 or mjpeg: says "ready" when it listens.
"""

import sys

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402

ENCODERS = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=5 ! rtph264pay name=pay0 pt=96",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=5 ! rtph265pay name=pay0 pt=96",
    "mjpeg": "video/x-raw,format=I420 ! jpegenc ! rtpjpegpay name=pay0 pt=26",
}

port, pattern, codec = sys.argv[1:]
Gst.init(None)
server = GstRtspServer.RTSPServer(service=port, address="127.0.0.1")
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( videotestsrc is-live=true pattern={pattern} ! video/x-raw,width=320,height=240,framerate=20/1 ! "
    f"videoconvert ! {ENCODERS[codec]} )"
)
factory.set_shared(True)
server.get_mount_points().add_factory("/cam", factory)
if not server.attach(None):
    sys.exit("cannot listen")
sys.stdout.write("ready\n")
sys.stdout.flush()
GLib.MainLoop().run()
