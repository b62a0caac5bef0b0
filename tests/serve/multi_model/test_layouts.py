"""Archives of every layout are served, and invocations run the entry model."""

from __future__ import annotations

from tests.serve.multi_model.archives import Model, ensemble, word
from tests.serve.multi_model.conftest import SHARED, WriteArchive
from tests.serve.multi_model.endpoint import Endpoint

# A configuration of its own making, as Triton asks Python models for where there is no config.pbtxt.
AUTO_COMPLETE = """

    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "text", "data_type": "TYPE_STRING", "dims": [1]})
        config.add_output({"name": "said", "data_type": "TYPE_STRING", "dims": [1]})
        config.set_max_batch_size(0)
        return config
"""


def test_the_archive_is_the_model(gateway: Endpoint, archive: WriteArchive) -> None:
    assert gateway.load("root", archive("root", word("root"))).status == 200
    assert gateway.said("root") == "hello root"


def test_one_directory_of_any_name(gateway: Endpoint, archive: WriteArchive) -> None:
    assert gateway.load("folder", archive("folder", {"my model (final)": word("folder")})).status == 200
    assert gateway.said("folder") == "hello folder"
    assert gateway.installed() == {"folder"}


def test_a_model_file_of_another_name(gateway: Endpoint, archive: WriteArchive) -> None:
    model = word("elsewhere", more='default_model_filename: "own/main.py"')
    moved = Model(model.config, {"1/own/main.py": model.files["1/model.py"]})
    assert gateway.load("moved", archive("moved", moved)).status == 200
    assert gateway.said("moved") == "hello elsewhere"


def test_the_name_in_the_configuration_does_not_matter(gateway: Endpoint, archive: WriteArchive) -> None:
    assert gateway.load("a", archive("a", {"model": word("a", more='name: "something-else"')})).status == 200
    assert gateway.said("a") == "hello a"


def test_an_ensemble_with_models_of_its_own(gateway: Endpoint, archive: WriteArchive) -> None:
    models = {"first": word("one"), "pipeline": ensemble("first", "probe", "second"), "second": word("two")}
    assert gateway.load("own", archive("own", models)).status == 200
    assert gateway.said("own") == "hello one two"
    assert gateway.installed() == {"own", "own--first", "own--second"}
    assert gateway.invoke("own--first").status == 404


def test_tenants_with_models_of_the_same_names(endpoint: Endpoint, archive: WriteArchive) -> None:
    for name in ("red", "blue"):
        models = {"colour": word(name), "pipeline": ensemble("colour")}
        assert endpoint.load(name, archive(name, models)).status == 200
    assert [endpoint.said("red"), endpoint.said("blue")] == ["hello red", "hello blue"]
    assert endpoint.unload("red").status == 200
    assert endpoint.said("blue") == "hello blue"
    assert endpoint.load("red", endpoint.models_dir / "red" / "model").status == 200
    assert [endpoint.said("red"), endpoint.said("blue")] == ["hello red", "hello blue"]


def test_a_model_of_the_archive_wins_over_a_shared_one(gateway: Endpoint, archive: WriteArchive) -> None:
    config, code = ((SHARED / f"probe.{ending}").read_text() for ending in ("pbtxt", "py"))
    own = Model(
        config, {"1/model.py": code.replace('Tensor("text", text)', 'Tensor("text", np.array([b"own"], object))')}
    )
    assert gateway.load("own", archive("own", {"probe": own, "pipeline": ensemble("probe")})).status == 200
    assert gateway.load("shared", archive("shared", {"pipeline": ensemble("probe")})).status == 200
    assert [gateway.said("own"), gateway.said("shared")] == ["own", "hello"]


def test_ensembles_of_shared_models_cost_no_process(gateway: Endpoint, archive: WriteArchive) -> None:
    assert gateway.load("first", archive("first", {"pipeline": ensemble("probe")})).status == 200
    before = set(gateway.stubs())
    for number in range(5):
        url = archive(f"shared-{number}", {"pipeline": ensemble("probe", "probe")})
        assert gateway.load(f"shared-{number}", url).status == 200
        assert gateway.said(f"shared-{number}") == "hello"
    assert set(gateway.stubs()) == before


def test_shared_models_stay_when_tenants_go(gateway: Endpoint, archive: WriteArchive) -> None:
    for name in ("stays", "goes"):
        assert gateway.load(name, archive(name, {"pipeline": ensemble("probe")})).status == 200
    processes = {name: process.pid for name, process in gateway.stubs().items()}
    assert gateway.unload("goes").status == 200
    assert gateway.said("stays") == "hello"
    assert {name: process.pid for name, process in gateway.stubs().items()} == processes


def test_an_ensemble_of_ensembles(gateway: Endpoint, archive: WriteArchive) -> None:
    models = {"a": word("a"), "inner": ensemble("a", "probe"), "outer": ensemble("inner", "a")}
    assert gateway.load("nested", archive("nested", models)).status == 200
    assert gateway.said("nested") == "hello a a"


def test_a_model_that_calls_others_from_its_code(endpoint: Endpoint, archive: WriteArchive) -> None:
    """The model lists others in `sagemaker.depends_on` and calls them by `sagemaker.tenant_prefix` and name."""
    for name in ("one", "two"):
        models = {
            "main": word("main", calls="middle", sagemaker__depends_on="middle"),
            "middle": word("middle", calls="last-one", sagemaker__depends_on=" last-one , "),
            "last-one": word(name),
        }
        assert endpoint.load(name, archive(name, models)).status == 200
    assert endpoint.said("one") == "hello one middle main"
    assert endpoint.said("two") == "hello two middle main"
    assert endpoint.unload("one").status == 200
    assert endpoint.said("two") == "hello two middle main"


def test_a_model_may_depend_on_a_shared_one(gateway: Endpoint, archive: WriteArchive) -> None:
    assert gateway.load("user", archive("user", word("mine", sagemaker__depends_on="probe"))).status == 200
    assert gateway.said("user") == "hello mine"
    assert "probe" in gateway.in_triton()


def test_no_configuration(gateway: Endpoint, archive: WriteArchive) -> None:
    code = word().files["1/model.py"].replace("\n\n\ndef wait_at", AUTO_COMPLETE + "\n\ndef wait_at", 1)
    model = Model(None, {"1/model.py": code})
    assert gateway.load("bare", archive("bare", {"model.v2": model})).status == 200
    assert gateway.said("bare") == "hello"


def test_a_model_that_asks_for_a_gpu(gateway: Endpoint, archive: WriteArchive) -> None:
    gpu = "instance_group [{ kind: KIND_GPU gpus: [ 0 ] count: 1 }]"
    assert gateway.load("gpu", archive("gpu", {"model": word("cpu", more=gpu)})).status == 200
    assert gateway.said("gpu") == "hello cpu"


def test_instance_groups_of_the_same_name(gateway: Endpoint, archive: WriteArchive) -> None:
    """Names of instance groups don't clash between archives."""
    group = 'instance_group [{ name: "workers" count: 2 }]'
    for name in ("one", "two"):
        assert gateway.load(name, archive(name, word(name, more=group))).status == 200
    assert [gateway.said("one"), gateway.said("two")] == ["hello one", "hello two"]
    assert {instance for instance in gateway.stubs() if not instance.startswith("probe")} == {
        f"{name}_0_{number}" for name in ("one", "two") for number in (0, 1)
    }


def test_what_finder_and_notebooks_leave_is_no_model(gateway: Endpoint, archive: WriteArchive) -> None:
    junk = Model(None, {"1/._model.py": "", "config.pbtxt": "not a configuration"})
    models = {"model": word("clean"), "._model": junk, "__MACOSX": junk, ".ipynb_checkpoints": junk}
    assert gateway.load("mac", archive("mac", models)).status == 200
    assert gateway.said("mac") == "hello clean"


def test_links_inside_of_the_archive(gateway: Endpoint, archive: WriteArchive) -> None:
    url = archive("links", {"model": word("linked")})
    (url / "model" / "1").rename(url / "weights")
    (url / "model" / "1").symlink_to("../weights")
    assert gateway.load("links", url).status == 200
    assert gateway.said("links") == "hello linked"
