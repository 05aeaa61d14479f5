"""The outer design: what a chip may be, within a baseline's resources."""

from coevo.spaces.naas.hardware.choices import answers_of, build_hardware, check_resources
from coevo.spaces.naas.hardware.design import HardwareDesign
from coevo.spaces.naas.hardware.template import Resources, Template

__all__ = ["HardwareDesign", "Resources", "Template", "answers_of", "build_hardware", "check_resources"]
