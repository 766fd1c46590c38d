"""Invented readers for the demo: plausible names from many places, addresses at example.com."""

from __future__ import annotations

from collections.abc import Iterator

DOMAIN = "example.com"  # reserved for examples (RFC 2606): nobody's mailbox

_PEOPLE = (
    ("Amina Okafor", "amina.okafor"),
    ("Bjørn Ødegård", "bjorn.odegard"),
    ("Chloé Lefèvre", "chloe.lefevre"),
    ("Дмитрий Соколов", "dmitri.sokolov"),
    ("Elif Yılmaz", "elif.yilmaz"),
    ("Fatima al-Zahra", "fatima.alzahra"),
    ("Grace Mwangi", "grace.mwangi"),
    ("陈海燕", "chen.haiyan"),
    ("İbrahim Şahin", "ibrahim.sahin"),
    ("José Ángel Muñoz", "jose.munoz"),
    ("Κατερίνα Παππά", "katerina.pappa"),
    ("Lwazi Dlamini", "lwazi.dlamini"),
    ("Mary-Jane O'Neill", "mary-jane.oneill"),
    ("नेहा शर्मा", "neha.sharma"),
    ("Oluwaseun Adéyẹmí", "oluwaseun.adeyemi"),
    ("Paweł Wójcik", "pawel.wojcik"),
    ("Quỳnh Nguyễn", "quynh.nguyen"),
    ("רות לוי", "ruth.levi"),
    ("佐藤 さくら", "sakura.sato"),
    ("Tāne Parata", "tane.parata"),
    ("Uri Ben-David", "uri.ben-david"),
    ("Věra Dvořáková", "vera.dvorakova"),
    ("Wanjirũ Kamau", "wanjiru.kamau"),
    ("Ximena Quispe", "ximena.quispe"),
    ("유지민", "yu.jimin"),
    ("زينب حداد", "zaynab.haddad"),
    ("", "quiet.reader"),  # most people give no name
)


def invented(count: int) -> Iterator[tuple[str, str]]:
    """`count` readers as (name, address), the same ones each time, no address twice."""
    for number in range(count):
        name, local = _PEOPLE[number % len(_PEOPLE)]
        again = number // len(_PEOPLE)
        yield name, f"{local}{again + 1 if again else ''}@{DOMAIN}"
