"""Alerts that leave the device: rules over answers and states, and the channels that carry them (MQTT, webhooks)."""
