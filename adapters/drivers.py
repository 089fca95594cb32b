"""The drivers of GPUs, which frameworks do not tell: NVIDIA's, and those that Vulkan finds."""

from __future__ import annotations

import ctypes
import re
from typing import Iterator

_FILE = "/proc/driver/nvidia/version"


def nvidia_driver() -> str:
    """Return the version of NVIDIA's driver, an empty text where Linux has none."""
    try:
        with open(_FILE, encoding="utf-8", errors="replace") as file:
            found = re.search(r"NVRM version:.*?\s(\d+\.[\d.]+)\s", file.read())
    except OSError:
        return ""
    return found.group(1) if found else ""


class _Properties(ctypes.Structure):
    """The beginning of VkPhysicalDeviceProperties; its limits and more follow."""

    _fields_ = (
        ("api", ctypes.c_uint32),
        ("driver", ctypes.c_uint32),
        ("vendor", ctypes.c_uint32),
        ("device", ctypes.c_uint32),
        ("kind", ctypes.c_uint32),
        ("name", ctypes.c_char * 256),
        ("rest", ctypes.c_uint8 * 2048),
    )


def vulkan_devices() -> str:
    """Return the devices that Vulkan's loader finds, with the versions of their drivers, an empty text without one.

    Which drivers it asks is said by its own variables, such as VK_ICD_FILENAMES.
    """
    try:
        vulkan = ctypes.CDLL("libvulkan.so.1")
    except OSError:
        return ""
    return "; ".join(_found(vulkan))


def _found(vulkan: ctypes.CDLL) -> Iterator[str]:
    # VkInstanceCreateInfo with nothing in it but its type, 1.
    create = (ctypes.c_uint64 * 8)(1)
    instance = ctypes.c_void_p()
    if vulkan.vkCreateInstance(create, None, ctypes.byref(instance)):
        return
    count = ctypes.c_uint32()
    vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None)
    devices = (ctypes.c_void_p * max(1, count.value))()
    vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), devices)
    for device in devices[: count.value]:
        p = _Properties()
        vulkan.vkGetPhysicalDeviceProperties(ctypes.c_void_p(device), ctypes.byref(p))
        version = (p.api >> 22, p.api >> 12 & 0x3FF, p.api & 0xFFF)
        driver = "%d.%d.%d" % (p.driver >> 22, p.driver >> 12 & 0x3FF, p.driver & 0xFFF)
        yield "%s, driver %s, Vulkan %d.%d.%d" % (p.name.decode("utf-8", "replace"), driver, *version)
    vulkan.vkDestroyInstance(instance, None)
