"""What an operator may type for an instance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meghdwar.cli.commands.names import resolve
from meghdwar.driver.instance import Instance
from meghdwar.driver.operation import DriverError

ARENA = Instance("arena", "arena", "arena", "container", "c")
SHOP = Instance("shop-cart", "shop", "cart", "container", "c")
ANNA = Instance("shop-bag-anna-1", "shop", "bag", "container", "c", subscriber="anna")
BEN = replace(ANNA, name="shop-bag-ben-2", subscriber="ben")
OTHER = replace(ANNA, name="mall-bag-anna-3", application="mall")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("arena", "arena"),
        ("shop-cart", "shop-cart"),
        ("cart", "shop-cart"),
        ("shop/cart", "shop-cart"),
        ("ben", "shop-bag-ben-2"),
        ("bag/ben", "shop-bag-ben-2"),
        ("shop/ben", "shop-bag-ben-2"),
        ("shop/bag/anna", "shop-bag-anna-1"),
        ("mall/anna", "mall-bag-anna-3"),
    ],
)
def test_the_only_one_that_can_be_meant(text: str, name: str) -> None:
    assert resolve(text, [ARENA, SHOP, ANNA, BEN, OTHER]) == name


@pytest.mark.parametrize("text", ["anna", "bag/anna"])
def test_one_that_may_be_several_is_told(text: str) -> None:
    with pytest.raises(DriverError, match=f"which instance '{text}' is: it may be mall-bag-anna-3, shop-bag-anna-1"):
        resolve(text, [ARENA, ANNA, BEN, OTHER])


def test_an_exact_name_counts_before_a_short_one() -> None:
    short = replace(SHOP, name="cart", cloudlet="arena", application="x")
    assert resolve("cart", [short, SHOP]) == "cart"


def test_one_that_there_is_not_gets_the_nearest() -> None:
    with pytest.raises(DriverError, match="did you mean 'arena'"):
        resolve("arean", [ARENA, SHOP])
    with pytest.raises(DriverError, match="there is none here"):
        resolve("arena", [])
