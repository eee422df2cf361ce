"""Reading and writing of shared Bluetooth formats.

Every `decode` is total: any octets give a value or raise MalformedRecord.
"""
