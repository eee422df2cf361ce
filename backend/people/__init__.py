"""Patients, clinicians, manufacturers, bridges; consent; who may see whom."""
