"""What apps add in ready(): sections, purgers, senders."""

import pytest

from identity import registry


@pytest.fixture(autouse=True)
def empty_tables(monkeypatch):
    for name in ("_config_sections", "_purgers", "_delivery_senders"):
        monkeypatch.setattr(registry, name, {})


def handler(*args, **kwargs):
    return 0


def other(*args, **kwargs):
    return 0


def test_a_section_finds_its_handler():
    registry.register_config_section("clients", handler)
    assert registry.config_section("clients") is handler


def test_a_section_whose_app_is_not_built_is_refused_by_name():
    with pytest.raises(registry.SectionNotBuilt, match="cas_services") as refused:
        registry.config_section("cas_services")
    assert refused.value.name == "cas_services"


def test_purgers_are_listed_by_name():
    registry.register_purger("tickets", handler)
    assert dict(registry.purgers()) == {"tickets": handler}


def test_a_kind_finds_its_sender():
    registry.register_delivery_sender("backchannel_logout", handler)
    assert registry.delivery_sender("backchannel_logout") is handler
    with pytest.raises(registry.UnknownDeliveryKind, match="saml_logout"):
        registry.delivery_sender("saml_logout")


@pytest.mark.parametrize(
    "register", [registry.register_config_section, registry.register_purger, registry.register_delivery_sender]
)
def test_a_name_is_given_once(register):
    register("name", handler)
    register("name", handler)  # ready() may run twice
    with pytest.raises(registry.AlreadyRegistered, match="name"):
        register("name", other)


@pytest.mark.parametrize("listing", [registry.purgers, registry.chores])
def test_the_tables_cannot_be_changed_from_outside(listing):
    with pytest.raises(TypeError):
        listing()["name"] = handler
