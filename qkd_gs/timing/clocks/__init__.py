"""UTC from the pulses of the GPS receiver, and the satellite's clock from its beacon or its public pulses."""
