#!/bin/sh
echo shop
