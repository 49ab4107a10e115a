"""Tests mirror the folders: `edge_sdk/store/spool.py` is tested in `tests/store/test_spool.py`."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = {
    "edge_sdk/bundle.py": "a former place of names",
    "edge_sdk/errors.py": "names alone",
    "edge_sdk/alerts/channel.py": "a seam: a protocol and its values",
    "edge_sdk/camera/simulated/pose.py": "a value",
    "edge_sdk/model/halving.py": "tests/model/test_inputs.py: the first of the rules there",
    "edge_sdk/cli/event_story.py": "tests/cli/test_journal.py: `--event`",
    "edge_sdk/cli/held_settings.py": "tests/cli/test_info.py: `--state`",
    "edge_sdk/model/rules.py": "tests/model/test_policy.py: the rules decide there",
    "edge_sdk/workbench/cascade/exits.py": "tests/workbench/test_calibrate_looks.py",
    "edge_sdk/cli/run.py": "tests/service/test_service.py: its process",
    "edge_sdk/cli/weights_option.py": "tests/cli/test_options.py",
    "edge_sdk/networks/checkpoint_info.py": "a value",
    "edge_sdk/networks/find_architecture.py": "tests/networks/test_foreign.py: the way of a file",
    "edge_sdk/networks/timm_networks.py": "tests/networks/test_checkpoint.py and test_hub.py: what they make and fetch",
    "edge_sdk/model/runtime.py": "a seam: protocols",
    "edge_sdk/store/table.py": "tests/store/test_journal.py and test_spool.py: the table is what its views show",
    "edge_sdk/camera/detector.py": "a seam: a protocol",
    "edge_sdk/cli/tables.py": "tests/workbench/test_calibrate_priors.py and tests/cli/test_priors.py",
    "edge_sdk/fleet/status.py": "tests/fleet/test_health.py",
    "edge_sdk/formats/server_reports.py": "tests/cli/test_export_data.py: `--reports`",
    "edge_sdk/model/network.py": "tests/model/test_little.py and test_bundle_detector.py: what they run",
    "edge_sdk/pipeline/event_thread.py": "tests/pipeline/test_event_news.py",
    "edge_sdk/pipeline/event_words.py": "tests/pipeline/test_answers.py and test_event_desk.py",
    "edge_sdk/pipeline/news.py": "tests/pipeline/test_late.py and test_event_news.py: the two queues",
    "edge_sdk/pipeline/status.py": "tests/pipeline/test_classifier.py: the classifier's questions",
    "edge_sdk/pipeline/word.py": "tests/pipeline/test_answers.py",
    "cloud_server/model/bundle_model.py": "tests/cloud_server/model/test_big.py: what `load_model` gives",
    "cloud_server/model/torch_model.py": "tests/cloud_server/model/test_big.py: what `load_model` gives",
    "cloud_server/http/opening.py": "tests/cloud_server/test_server.py and http/page: servers with a page",
    "cloud_server/http/page/forms.py": "a kind of field, and an error as a page",
    "cloud_server/http/page/page.py": "tests/cloud_server/http/page/test_looking.py: lists that are shown",
    "cloud_server/fleet/database/tables.py": "tests/cloud_server/fleet/database/test_opening.py",
    "cloud_server/fleet/database/migrations/env.py": "tests/cloud_server/fleet/database/test_opening.py",
    "cloud_server/fleet/database/migrations/versions/v0001_first.py": "fleet/database/test_opening.py runs the steps",
    "cloud_server/fleet/database/migrations/versions/v0002_by_time.py": "fleet/database/test_opening.py runs the steps",
    "cloud_server/fleet/database/migrations/versions/v0003_audited.py": "fleet/database/test_opening.py runs the steps",
    "cloud_server/fleet/database/migrations/versions/v0004_audits.py": "fleet/database/test_opening.py runs the steps",
    "cloud_server/http/admin/forms.py": "tests/cloud_server/http/admin/test_schema.py",
    "edge_sdk/terminal/cell.py": "tests/formats/test_text.py",
    "edge_sdk/wire/names.py": "names alone",
    "cloud_server/fleet/seams.py": "a seam: protocols",
    "cloud_server/install_command.py": "tests/cli/test_install_service.py: both commands",
    "cloud_server/serving.py": "tests/cloud_server/test_server.py and test_cli.py: a process from start to end",
    "edge_sdk/workbench/sequence/make.py": "tests/cli/test_sequence.py: the command's work",
}


def test_every_module_has_its_test_file() -> None:
    missing = []
    for root in ("edge_sdk", "cloud_server"):
        for path in sorted((ROOT / root).rglob("*.py")):
            if path.name.startswith("__") or "_pb2" in path.name:
                continue
            name = path.relative_to(ROOT).as_posix()
            home = path.relative_to(ROOT / "edge_sdk" if root == "edge_sdk" else ROOT)
            there = (ROOT / "tests" / home).with_name(f"test_{path.name}").is_file()
            assert not (there and name in ELSEWHERE), f"{name} has its test file now"
            if not there and name not in ELSEWHERE:
                missing.append(name)
    assert not missing
