"""Reports: made from the store and the record, put into folders or sent by mail."""
